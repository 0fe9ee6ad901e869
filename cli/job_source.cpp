#include "cli/job_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "cli/settings.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "scheduler/daemon/operator_loader.h"

namespace pawl {

namespace {

Error cannot_read(const std::string& file, int error) {
  const ErrorKind kind = error == ENOENT ? ErrorKind::not_found : ErrorKind::invalid;
  const std::string what = escape_for_terminal(file);
  if (error == ENOENT) return {kind, fmt::format("{}: there is no such file", what)};
  return {kind, fmt::format("{}: cannot be read: {}", what, std::strerror(error))};
}

/// Everything up to one byte more than a job file may have.
Result<std::string> read_all(int descriptor, const std::string& file) {
  std::string text;
  char buffer[64 << 10];
  while (text.size() <= limits::kJobFileBytesMax) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR) continue;
      return cannot_read(file, errno);
    }
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return Error{ErrorKind::invalid, fmt::format("{}: larger than {} MiB", escape_for_terminal(file),
                                               limits::kJobFileBytesMax >> 20U)};
}

}  // namespace

Result<JobSource> read_job_source(const std::string& file) {
  std::error_code ignored;
  JobSource source;
  source.file = file;
  if (file == "-") {
    source.file = "standard input";
    source.folder = std::filesystem::current_path(ignored).string();
    Result<std::string> text = read_all(STDIN_FILENO, source.file);
    if (!text) return std::move(text).error();
    source.text = *std::move(text);
    return source;
  }
  // Not blocking: a FIFO without a writer must not hang the verb.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return cannot_read(file, errno);
  struct stat facts {};
  Result<std::string> text = Error{};
  if (fstat(descriptor, &facts) != 0) {
    text = cannot_read(file, errno);
  } else if (!S_ISREG(facts.st_mode)) {
    text = Error{ErrorKind::invalid, fmt::format("{}: not a regular file. Use - for standard input",
                                                 escape_for_terminal(file))};
  } else {
    text = read_all(descriptor, file);
  }
  ::close(descriptor);
  if (!text) return std::move(text).error();
  source.text = *std::move(text);
  const std::filesystem::path path = std::filesystem::absolute(file, ignored).lexically_normal();
  source.path = path.string();
  source.folder = path.parent_path().string();
  return source;
}

void print_diagnostics(const Session& session, std::string_view file,
                       const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    session.err.line(format_diagnostic(file, diagnostic));
  }
}

OperatorCatalog known_operators(const Session& session) {
  if (session.operators) return *session.operators;
  const Result<std::string> home = resolve_home(session.home_flag);
  session.operators = load_operators(program_path(), home ? *home : std::string(),
                                     [&](std::string problem) { session.notice(problem); });
  return *session.operators;
}

Result<CheckedJob> read_job(const Session& session, const std::string& file) {
  Result<JobSource> source = read_job_source(file);
  if (!source) return std::move(source).error();
  const OperatorCatalog operators = known_operators(session);
  const Result<ParsedSettings> settings = settings_of(session, &operators);
  if (!settings) return settings.error();
  ParseResult parsed =
      parse_job(source->text, parse_options(source->folder, &operators, &settings->settings));
  print_diagnostics(session, source->file, parsed.diagnostics);
  if (!parsed.ok) {
    return Error{ErrorKind::invalid, fmt::format("{}: not a valid job file; nothing was done",
                                                 escape_for_terminal(source->file))};
  }
  return CheckedJob{*std::move(source), std::move(parsed.job), std::move(parsed.diagnostics)};
}

void declare_params(Arguments& arguments, std::vector<std::string>& words) {
  arguments.option("-p,--param", "K=V", words, "a parameter of the run");
  arguments.check([&words]() -> Result<void> {
    std::map<std::string, std::string> values;
    for (const std::string& word : words) {
      const std::string shown = escape_for_terminal(word);
      if (word.find('=') == std::string::npos || word.front() == '=')
        return Error{ErrorKind::invalid, fmt::format("-p {}: write NAME=VALUE", shown)};
      const auto [name, value] = split_param(word);
      const auto first = values.emplace(name, value).first;
      if (first->second != value) {
        return Error{ErrorKind::invalid,
                     fmt::format("-p {}: {} is given as '{}', too, but takes one value", shown,
                                 escape_for_terminal(name), escape_for_terminal(first->second))};
      }
    }
    return {};
  });
}

std::pair<std::string, std::string> split_param(const std::string& word) {
  const std::size_t equals = word.find('=');
  return {word.substr(0, equals), word.substr(equals + 1)};
}

Result<std::string> params_from_words(const JobSpec& job, const std::vector<std::string>& words) {
  nlohmann::json params = nlohmann::json::object();
  for (const std::string& word : words) {
    const auto [name, text] = split_param(word);
    Result<std::string> value = param_from_text(job, name, text);
    if (!value) return std::move(value).error();
    params[name] = nlohmann::json::parse(*value, nullptr, false);
  }
  return params.dump();
}

}  // namespace pawl
