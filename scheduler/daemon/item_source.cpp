#include "scheduler/daemon/item_source.h"

#include <csv.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/core/item_chunk.h"
#include "scheduler/loop/fd.h"
#include "scheduler/spec/json_text.h"

namespace pawl {
namespace {

using nlohmann::json;

Error bad(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

/// What tells one state of a file from another.
struct Fingerprint {
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t inode = 0;

  static std::optional<Fingerprint> of(int fd) {
    struct stat st {};
    if (fstat(fd, &st) != 0) return std::nullopt;
    return Fingerprint{st.st_size, st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec,
                       static_cast<std::int64_t>(st.st_ino)};
  }
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

Result<Fd> open_regular(const std::string& path) {
  // Without O_NONBLOCK a FIFO would hold the thread for ever.
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return bad("cannot open " + path + ": " + std::strerror(errno));
  struct stat st {};
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return bad(path + " is not a regular file");
  return fd;
}

/// The names of a key's template, without a copy of the run's for each item.
class ItemNames final : public Context {
 public:
  ItemNames(const json& run, const json& item, const json& index)
      : run_(run), item_(item), index_(index) {}
  const Json* find(std::string_view name) const override {
    if (name == "item") return &item_;
    if (name == "index") return &index_;
    auto it = run_.find(name);
    return it == run_.end() ? nullptr : &*it;
  }
  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> out = {"item", "index"};
    for (const auto& [name, value] : run_.items()) out.push_back(name);
    return out;
  }

 private:
  const json& run_;
  const json& item_;
  const json& index_;
};

class ArrayStream final : public ItemStream {
 public:
  explicit ArrayStream(json array) : array_(std::move(array)) {}
  Result<std::optional<std::string>> next() override {
    if (place_ == array_.size()) return std::optional<std::string>{};
    return std::optional<std::string>{
        array_[place_++].dump(-1, ' ', false, json::error_handler_t::replace)};
  }
  std::string position() const override { return {}; }
  Result<void> check_unchanged() const override { return {}; }

 private:
  json array_;
  std::size_t place_ = 0;
};

/// Lines of a file, each with the number of its first byte after it.
class LineReader {
 public:
  LineReader(Fd fd, std::int64_t offset) : fd_(std::move(fd)), offset_(offset) {}

  /// The next line without its end; nothing at the end of the file.
  Result<std::optional<std::string_view>> next(bool keep_end) {
    while (true) {
      const std::size_t end = buffer_.find('\n', scanned_);
      if (end != std::string::npos) return take(end + 1, keep_end);
      scanned_ = buffer_.size();
      if (buffer_.size() - start_ > limits::kItemBytesMax + 2)
        return bad("line " + std::to_string(line_ + 1) + " is longer than 1 MiB");
      if (at_end_) {
        if (start_ == buffer_.size()) return std::optional<std::string_view>{};
        return take(buffer_.size(), keep_end);
      }
      if (auto more = fill(); !more) return more.error();
    }
  }
  std::int64_t offset() const { return offset_; }
  std::int64_t line() const { return line_; }
  void set_line(std::int64_t line) { line_ = line; }
  int fd() const { return fd_.get(); }

 private:
  std::optional<std::string_view> take(std::size_t end, bool keep_end) {
    std::string_view line(buffer_.data() + start_, end - start_);
    const bool is_first = offset_ == 0;
    offset_ += static_cast<std::int64_t>(line.size());
    if (is_first && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    start_ = scanned_ = end;
    ++line_;
    if (!keep_end) {
      if (line.ends_with('\n')) line.remove_suffix(1);
      if (line.ends_with('\r')) line.remove_suffix(1);
    }
    return line;
  }
  Result<void> fill() {
    buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
    const std::size_t old = buffer_.size();
    buffer_.resize(old + (256u << 10));
    const ssize_t n = pread(fd_.get(), buffer_.data() + old, buffer_.size() - old,
                            offset_ + static_cast<std::int64_t>(old));
    buffer_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0) return bad(std::string("cannot be read: ") + std::strerror(errno));
    if (n == 0) at_end_ = true;
    return {};
  }

  Fd fd_;
  std::string buffer_;
  std::size_t start_ = 0;
  std::size_t scanned_ = 0;
  std::int64_t offset_ = 0;  ///< in the file, of buffer_[start_]
  std::int64_t line_ = 0;
  bool at_end_ = false;
};

class FileStream : public ItemStream {
 public:
  FileStream(std::string path, LineReader reader, Fingerprint fingerprint)
      : path_(std::move(path)), reader_(std::move(reader)), fingerprint_(fingerprint) {}

  std::string position() const override {
    return json{{"file", path_},
                {"size", fingerprint_.size},
                {"mtime_ns", fingerprint_.mtime_ns},
                {"inode", fingerprint_.inode},
                {"offset", reader_.offset()},
                {"line", reader_.line()}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
  }
  Result<void> check_unchanged() const override {
    auto here = Fingerprint::of(reader_.fd());
    Fd again(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    auto there = again ? Fingerprint::of(again.get()) : std::nullopt;
    if (here == fingerprint_ && there == fingerprint_) return {};
    return bad(path_ +
               " changed while its items were read. Write it under another name and rename it when "
               "it is whole");
  }

 protected:
  const std::string& path() const { return path_; }
  /// Of the line that was read last, from 1.
  std::int64_t line_number() const { return reader_.line(); }
  Error at_line(const std::string& what) const {
    return bad(path_ + ":" + std::to_string(reader_.line()) + ": " + what);
  }
  /// UTF-8; nothing at the end of the file.
  Result<std::optional<std::string_view>> next_line(bool keep_end) {
    auto line = reader_.next(keep_end);
    if (!line) return bad(path_ + ": " + line.error().message);
    if (*line && !is_utf8(**line)) return at_line("is not UTF-8");
    return line;
  }
  /// Goes on with the line that begins at `offset`.
  Result<void> go_to(std::int64_t offset, std::int64_t line) {
    Fd fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return bad("cannot open " + path_ + ": " + std::strerror(errno));
    reader_ = LineReader(std::move(fd), offset);
    reader_.set_line(line);
    return {};
  }

 private:
  std::string path_;
  LineReader reader_;
  Fingerprint fingerprint_;
};

class TextLines final : public FileStream {
 public:
  using FileStream::FileStream;
  Result<std::optional<std::string>> next() override {
    auto line = next_line(false);
    if (!line) return line.error();
    if (!*line) return std::optional<std::string>{};
    return std::optional<std::string>{json(std::string(**line)).dump()};
  }
};

class JsonLines final : public FileStream {
 public:
  using FileStream::FileStream;
  Result<std::optional<std::string>> next() override {
    while (true) {
      auto line = next_line(false);
      if (!line) return line.error();
      if (!*line) return std::optional<std::string>{};
      const std::string_view text = **line;
      if (text.find_first_not_of(" \t") == std::string_view::npos) continue;
      if (const auto why = json_error(text)) return at_line("cannot be an item: " + *why);
      return std::optional<std::string>{std::string(text)};
    }
  }
};

constexpr const char* kStrayQuote =
    "has a quote within a field: such a field is quoted as a whole, without blanks around it, and "
    "its own quotes are doubled";

/// CSV as in RFC 4180 (libcsv): a header, then a record per item. Blanks are part of a field.
class CsvRecords final : public FileStream {
 public:
  CsvRecords(std::string path, LineReader reader, Fingerprint fingerprint)
      : FileStream(std::move(path), std::move(reader), fingerprint) {
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL);
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });
  }
  ~CsvRecords() override { csv_free(&parser_); }
  CsvRecords(const CsvRecords&) = delete;
  CsvRecords& operator=(const CsvRecords&) = delete;

  Result<void> read_header() {
    auto record = next_record();
    if (!record) return record.error();
    if (!*record) return bad(path() + " has no header line");
    header_ = **std::move(record);
    std::unordered_set<std::string_view> seen;
    for (const std::string& column : header_) {
      if (!seen.insert(column).second) return at_line("the column '" + column + "' is there twice");
    }
    return {};
  }
  /// To a place after the header, which was read from the file's beginning.
  using FileStream::go_to;

  Result<std::optional<std::string>> next() override {
    auto record = next_record();
    if (!record) return record.error();
    if (!*record) return std::optional<std::string>{};
    if ((*record)->size() != header_.size()) {
      return at_line("has " + std::to_string((*record)->size()) + " fields, the header has " +
                     std::to_string(header_.size()));
    }
    json object = json::object();
    for (std::size_t i = 0; i < header_.size(); ++i) object[header_[i]] = std::move((**record)[i]);
    return std::optional<std::string>{object.dump()};
  }

 private:
  /// Lines are fed whole, so that a record ends where a line ends and its place is known.
  Result<std::optional<std::vector<std::string>>> next_record() {
    using Record = std::optional<std::vector<std::string>>;
    fields_.clear();
    is_done_ = false;
    goes_on_ = false;
    std::int64_t first = 0;  // the line at which the record begins; 0: only empty lines so far
    std::size_t bytes = 0;
    const auto of_record = [&](const std::string& what) {
      return bad(path() + ": the record that begins at line " + std::to_string(first) + what);
    };
    while (!is_done_) {
      auto line = next_line(true);
      if (!line) return line.error();
      if (!*line) {
        if (csv_fini(&parser_, on_field, on_record, this) != 0)
          return of_record(" has a quoted field that does not end");
        if (first == 0 && !fields_.empty()) return carriage_return();
        break;
      }
      if (first == 0 && (**line).find_first_not_of("\r\n") != std::string_view::npos)
        first = line_number();
      // Before libcsv has it, which would keep all of the file for a quote that does not end.
      if (first != 0) bytes += (**line).size();
      if (bytes > limits::kItemBytesMax)
        return of_record(" is longer than 1 MiB: does a quoted field not end?");
      if (csv_parse(&parser_, (*line)->data(), (*line)->size(), on_field, on_record, this) !=
          (*line)->size()) {
        const int error = csv_error(&parser_);
        return at_line(error == CSV_EPARSE ? kStrayQuote : csv_strerror(error));
      }
      if (goes_on_) return carriage_return();
    }
    if (fields_.empty()) return Record{};
    return Record{std::move(fields_)};
  }
  /// For libcsv such a one ends a record too, and the next would be taken for more of its fields.
  Error carriage_return() const {
    return at_line(
        "has a carriage return without a line feed behind it: a record ends with LF or CR LF, and "
        "within a field a line break is quoted");
  }
  static void on_field(void* data, std::size_t size, void* self) {
    auto& records = *static_cast<CsvRecords*>(self);
    if (records.is_done_) records.goes_on_ = true;
    auto* text = static_cast<const char*>(data);
    records.fields_.emplace_back(text == nullptr ? "" : std::string(text, size));
  }
  static void on_record(int, void* self) { static_cast<CsvRecords*>(self)->is_done_ = true; }

  csv_parser parser_{};
  std::vector<std::string> header_;
  std::vector<std::string> fields_;
  bool is_done_ = false;  ///< the record has ended
  bool goes_on_ = false;  ///< and its line has not
};

Result<std::unique_ptr<ItemStream>> stream_json_file(const std::string& path, Fd fd) {
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return bad("cannot read " + path);
  if (static_cast<std::uint64_t>(st.st_size) > kJsonItemFileBytesMax) {
    return bad(path + " is larger than 256 MiB; give its items as jsonl, one per line");
  }
  std::string text(static_cast<std::size_t>(st.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t n =
        pread(fd.get(), text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (n <= 0) return bad(path + " could not be read whole");
    have += static_cast<std::size_t>(n);
  }
  if (const auto why = json_error(text)) return bad("cannot read items from " + path + ": " + *why);
  json array = json::parse(text, nullptr, false);
  if (!array.is_array()) return bad(path + " holds " + array.type_name() + ", not an array");
  return stream_array(std::move(array));
}

}  // namespace

std::unique_ptr<ItemStream> stream_array(json array) {
  return std::make_unique<ArrayStream>(std::move(array));
}

Result<std::unique_ptr<ItemStream>> stream_file(const std::string& path, ItemFormat format,
                                                const std::string& position) {
  auto fd = open_regular(path);
  if (!fd) return fd.error();
  if (format == ItemFormat::json) return stream_json_file(path, std::move(*fd));

  const auto fingerprint = Fingerprint::of(fd->get());
  if (!fingerprint) return bad("cannot read " + path);
  std::int64_t offset = 0;
  std::int64_t line = 0;
  if (!position.empty()) {
    const json saved = json::parse(position, nullptr, false);
    if (!saved.is_object()) return bad("the place in " + path + " is unreadable");
    const Fingerprint was{saved.value("size", std::int64_t{-1}),
                          saved.value("mtime_ns", std::int64_t{-1}),
                          saved.value("inode", std::int64_t{-1})};
    if (saved.value("file", std::string()) != path || !(was == *fingerprint))
      return bad(path + " changed while its items were read");
    offset = saved.value("offset", std::int64_t{0});
    line = saved.value("line", std::int64_t{0});
  }
  std::unique_ptr<ItemStream> stream;
  switch (format) {
    case ItemFormat::lines:
    case ItemFormat::jsonl: {
      LineReader reader(std::move(*fd), offset);
      reader.set_line(line);
      if (format == ItemFormat::lines)
        stream = std::make_unique<TextLines>(path, std::move(reader), *fingerprint);
      else
        stream = std::make_unique<JsonLines>(path, std::move(reader), *fingerprint);
      break;
    }
    case ItemFormat::csv: {
      auto csv = std::make_unique<CsvRecords>(path, LineReader(std::move(*fd), 0), *fingerprint);
      if (auto header = csv->read_header(); !header) return header.error();
      if (offset > 0) {
        if (auto there = csv->go_to(offset, line); !there) return there.error();
      }
      stream = std::move(csv);
      break;
    }
    case ItemFormat::json: break;  // above
  }
  return stream;
}

Result<ItemPacker> ItemPacker::open(std::unique_ptr<ItemStream> stream, const std::string& key,
                                    json context, std::int64_t first, std::int64_t from) {
  ItemPacker packer;
  packer.stream_ = std::move(stream);
  packer.context_ = std::move(context);
  packer.next_ = first;
  packer.from_ = from;
  if (!key.empty()) {
    auto compiled = Template::compile(key);
    if (auto* error = std::get_if<ExpressionError>(&compiled))
      return bad("map.key: " + error->message);
    packer.key_.emplace(std::move(std::get<Template>(compiled)));
  }
  return packer;
}

Result<std::string> ItemPacker::key_of(const std::string& payload) {
  const json item = json::parse(payload, nullptr, false);
  const json index = next_;
  const ItemNames names(context_, item, index);
  auto rendered = key_->render_text(names, false);
  if (auto* error = std::get_if<ExpressionError>(&rendered)) {
    return bad("map.key of item " + std::to_string(next_) + ": " + error->message);
  }
  std::string& key = std::get<std::string>(rendered);
  if (key.empty()) return bad("map.key of item " + std::to_string(next_) + " is empty");
  if (key.size() > limits::kItemKeyBytesMax)
    return bad("map.key of item " + std::to_string(next_) + " is longer than 1 KiB");
  const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  if (!keys_.insert({hash.low64, hash.high64}).second) {
    return bad("the key '" + key + "' of item " + std::to_string(next_) + " is not unique");
  }
  return std::move(key);
}

Result<ItemChunk> ItemPacker::next() {
  ItemChunkWriter writer;
  ItemChunk chunk;
  chunk.first = std::max(next_, from_);
  while (writer.count() < static_cast<std::int64_t>(limits::kItemsPerChunk) &&
         writer.size() < limits::kItemChunkBytesMax) {
    auto item = stream_->next();
    if (!item) return item.error();
    if (!*item) {
      chunk.complete = true;
      break;
    }
    if (next_ >= limits::kItemsPerTaskMax)
      return bad("more than " + std::to_string(limits::kItemsPerTaskMax) + " items");
    const std::string& payload = **item;
    if (payload.size() > limits::kItemBytesMax)
      return bad("item " + std::to_string(next_) + " is larger than 1 MiB");
    std::string key;
    if (key_) {
      auto made = key_of(payload);
      if (!made) return made.error();
      key = std::move(*made);
    }
    if (next_ >= from_) writer.add(key, payload);
    ++next_;
  }
  if (chunk.complete) {
    if (auto same = stream_->check_unchanged(); !same) return same.error();
  }
  chunk.count = writer.count();
  chunk.bytes = writer.take();
  chunk.source = stream_->position();
  return chunk;
}

}  // namespace pawl
