#pragma once

// A job file as a verb reads it: the text, what the parser says about it, and where.

#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/session.h"
#include "scheduler/base/result.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/spec/operator_catalog.h"

namespace pawl {

struct JobSource {
  std::string file;    ///< as the user wrote it; `-` is standard input
  std::string path;    ///< absolute; empty for standard input
  std::string folder;  ///< absolute; of standard input the current one
  std::string text;
};

/// Reads a job file, or standard input for `-`. Errors: not_found, invalid (a folder, a device, too
/// large, not readable).
Result<JobSource> read_job_source(const std::string& file);

/// Reads and parses; every error and warning is printed to standard error. Errors: those of
/// reading; `invalid` when the file has errors.
struct CheckedJob {
  JobSource source;
  JobSpec job;
  std::vector<Diagnostic> warnings;
};
Result<CheckedJob> read_job(const Session& session, const std::string& file);

/// The operators of this machine and of the home that is meant. Blocks while plugins are asked.
OperatorCatalog known_operators(const Session& session);

/// Prints diagnostics, one per line, to standard error.
void print_diagnostics(const Session& session, std::string_view file,
                       const std::vector<Diagnostic>& diagnostics);

/// Adds `-p NAME=VALUE`, any number of times. Other words, and two values of one name, are wrong
/// usage.
void declare_params(Arguments& arguments, std::vector<std::string>& words);

/// NAME and VALUE of such a word.
std::pair<std::string, std::string> split_param(const std::string& word);

/// Such words as one JSON object. Errors: `invalid`, naming the parameter.
Result<std::string> params_from_words(const JobSpec& job, const std::vector<std::string>& words);

}  // namespace pawl
