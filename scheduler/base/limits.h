#pragma once

// Every bound of the program, with its unit and its reason. Reaching one is an answer to the user.

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "scheduler/base/time.h"

namespace pawl::limits {

// Job files.
inline constexpr std::size_t kJobFileBytesMax = 16u << 20;      ///< read whole into memory
inline constexpr std::size_t kSettingsFileBytesMax = 1u << 20;  ///< the same
inline constexpr int kJobNestingMax = 64;                ///< recursion of parsers and printers
inline constexpr std::size_t kTasksPerJobMax = 100'000;  ///< each is a node in memory
inline constexpr std::size_t kNameBytesMax = 128;        ///< job names, task ids
inline constexpr std::size_t kErrorsPerFileMax = 100;    ///< nobody reads more
inline constexpr std::size_t kExceptDatesMax = 10'000;   ///< 27 years of days; bounds a search

// Expressions.
inline constexpr std::size_t kExpressionBytesMax = 64u << 10;  ///< text of one expression
inline constexpr int kExpressionDepthMax = 250;                ///< recursion of the parser
inline constexpr std::int64_t kEvaluationStepsMax = 1'000'000;
inline constexpr std::size_t kEvaluationBytesMax = 16u << 20;

// Programs.
inline constexpr std::size_t kArgumentBytesMax = 128u << 10;  ///< MAX_ARG_STRLEN of Linux
inline constexpr std::size_t kOutputValueBytesMax = 1u << 20;
inline constexpr std::uint64_t kOutputSpoolBytesMax = std::uint64_t{16} << 30;
inline constexpr std::size_t kLogBytesMax = std::size_t{64} << 20;  ///< head and tail are kept
inline constexpr std::size_t kErrorMessageBytesMax = 4u << 10;
inline constexpr Duration kKillGraceDefault = std::chrono::seconds(10);
inline constexpr Duration kUnkillableAfter = std::chrono::seconds(60);  ///< after SIGKILL
/// How long an attempt that was lost before is watched when it starts again: one that kills its
/// process mostly does so at once.
inline constexpr Duration kSuspectWatchedFor = std::chrono::seconds(5);

// Jobs that call jobs.
inline constexpr int kCallDepthMax = 8;  ///< runs above a run; each is a level of recursion
inline constexpr std::int64_t kCallsPerTaskMax = 1'000;  ///< runs of a mapped task at once: memory

// Items.
inline constexpr std::size_t kItemsPerChunk = 1'000;             ///< rows in one blob
inline constexpr std::size_t kItemChunkBytesMax = 4u << 20;      ///< a chunk ends earlier at this
inline constexpr std::size_t kItemBytesMax = 1u << 20;           ///< one item as JSON
inline constexpr std::size_t kItemKeyBytesMax = 1u << 10;        ///< one rendered key
inline constexpr std::int64_t kItemsPerTaskMax = 2'000'000'000;  ///< an index fits 31 bits

// Engine.
inline constexpr std::size_t kMutationsPerStepMax = 4'000;  ///< the rest is a continuation

// Runs, and tasks of them, that one backfill accepts at once: all of them are in memory, and in one
// transaction.
inline constexpr std::int64_t kBackfillRunsMax = 20'000;
inline constexpr std::int64_t kBackfillTasksMax = 1'000'000;

inline constexpr std::size_t kStateTextBytesMax = 64u << 10;  ///< of a deferral, kept in a row
inline constexpr std::size_t kHandleBytesMax = 4u << 10;      ///< likewise

// Store.
inline constexpr std::int64_t kWalBytesMax =
    std::int64_t{1} << 30;  ///< of the log that a reader keeps from being copied back
inline constexpr std::int64_t kLogFileBytesKept = 32 << 20;  ///< once all of it is copied back

// Frames and queues.
inline constexpr std::size_t kFrameBytesMax = 16u << 20;
inline constexpr std::size_t kJournalInlineBytesMax = 64u << 10;  ///< error and output in a record
inline constexpr std::size_t kJournalSegmentBytes = 4u << 20;

}  // namespace pawl::limits
