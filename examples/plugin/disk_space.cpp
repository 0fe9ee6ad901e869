// `disk_space`: how much room there is where the task works. It blocks a thread of its host.

#include <filesystem>
#include <string>

#include <pawl/operator.hpp>

using namespace pawl::plugin;

struct DiskSpace {
  static constexpr const char* kName = "disk_space";
  static constexpr const char* kSummary = "free and total bytes of the task's folder";
  static constexpr const char* kSchema = R"({"type": "object", "additionalProperties": false})";

  Result run(Attempt&, const Request& request) {
    const auto space = std::filesystem::space(request.working_dir());
    return Result::success("{\"available\": " + std::to_string(space.available) +
                           ", \"capacity\": " + std::to_string(space.capacity) + "}");
  }
};

PAWL_PLUGIN("1.0", DiskSpace)
