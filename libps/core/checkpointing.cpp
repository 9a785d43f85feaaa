// The coordinator's checkpoints: which version is the next one, when one is whole, and when the run is done.
#include <algorithm>

#include "libps/core/bounds.hpp"
#include "libps/core/coordinator.hpp"

namespace ringps {
namespace {

/// How far ahead a checkpoint is named, so that the word arrives before the iteration; doubled after every miss.
constexpr Duration notice = std::chrono::milliseconds(5);
constexpr std::uint32_t notice_doublings_max = 8;

/// After the last iteration is safe: how long evaluations still under way are waited for.
constexpr Duration evaluation_grace = std::chrono::seconds(20);

}  // namespace

Iteration Coordinator::newest_iteration() const {
  Iteration newest = timings_through_;
  for (const auto& [id, process] : processes_) {
    newest = std::max(newest, process.iteration);
  }
  return newest;
}

void Coordinator::on_blocks_written(const Route& from, const Message& message, const BlocksWritten& written,
                                    Effects& effects) {
  const std::string& server = message.envelope.sender;
  const Iteration iteration = written.iteration;
  if (written.restore_epoch != view_.restore.epoch || written.owned_since != view_.owned_since ||
      !view_.server_index(server) || iteration > job_.iterations || iteration <= lineage_committed_) {
    send(from, message.envelope.request, Ack{iteration}, effects);  // nothing more will come of it
    return;
  }
  if (iteration > next_checkpoint_ && iteration < job_.iterations) {  // named by an earlier life of this coordinator
    next_checkpoint_ = iteration;
    effects.push_back(Publish{make(CheckpointBegin{iteration, view_.restore.epoch})});
  }
  auto& by_server = written_[iteration];
  by_server[server] = {written.files, from, message.envelope.request};
  std::vector<CheckpointFile> files;
  for (const auto& [id, report] : by_server) {
    for (const WrittenFile& file : report.files) {
      files.push_back({{id}, file});
    }
  }
  const auto key = std::pair(view_.restore.epoch, iteration);
  if (covers_all_blocks(files) && committing_.insert(key).second) {
    effects.push_back(CommitCheckpoint{iteration, view_.epoch, view_.restore.epoch, std::move(files)});
  }
}

/// To everybody who waits for it: a checkpoint is committed, and older ones will not be.
void Coordinator::acknowledge_written(Iteration through, Effects& effects) {
  const auto end = written_.upper_bound(through);
  for (auto at = written_.begin(); at != end; ++at) {
    for (const auto& [server, report] : at->second) {
      send(report.from, report.request, Ack{at->first}, effects);
    }
  }
  written_.erase(written_.begin(), end);
}

bool Coordinator::covers_all_blocks(const std::vector<CheckpointFile>& files) const {
  std::vector<std::uint8_t> seen(table_.size(), 0);
  std::size_t covered = 0;
  for (const CheckpointFile& each : files) {
    for (const BlockRun& run : each.file.runs) {
      const auto first = each.file.optimizer ? std::nullopt : table_.find(run);
      for (std::uint32_t i = 0; first && i < run.count; ++i) {
        covered += seen[first->value + i]++ == 0 ? 1U : 0U;
      }
    }
  }
  return covered == table_.size();
}

void Coordinator::on_checkpoint_committed(Time now, Iteration iteration, Epoch restore_epoch, const std::string& folder,
                                          Effects& effects) {
  committing_.erase({restore_epoch, iteration});
  if (iteration >= committed_) {
    committed_ = iteration;
    committed_folder_ = folder;
  }
  if (restore_epoch != view_.restore.epoch) {
    return;  // of a lineage that has ended; its bits are good all the same
  }
  lineage_committed_ = std::max(lineage_committed_, iteration);
  acknowledge_written(iteration, effects);
  effects.push_back(Publish{make(CheckpointCommitted{iteration, restore_epoch})});
  effects.push_back(Log{"checkpoint " + std::to_string(iteration.value) + " is committed: " + folder});
  if (iteration == job_.iterations) {
    last_committed_at_ = now;
    finish_if_done(now, effects);
  } else if (iteration == next_checkpoint_) {
    misses_ = 0;
    name_next_checkpoint(now, effects);
  }
}

void Coordinator::on_checkpoint_missed(Time now, const CheckpointMissed& missed, Effects& effects) {
  if (missed.restore_epoch == view_.restore.epoch && missed.iteration >= next_checkpoint_) {
    next_checkpoint_ = missed.iteration;
    misses_ = std::min(misses_ + 1, notice_doublings_max);
    pace_.observe(now, missed.reached);
    name_next_checkpoint(now, effects);
  }
}

void Coordinator::name_next_checkpoint(Time now, Effects& effects) {
  const std::uint64_t interval = job_.checkpoint.interval;
  if (interval == 0) {
    return;
  }
  std::uint64_t after = next_checkpoint_.value;
  if (!job_.checkpoint.wait) {
    const Duration ahead =
        std::max<Duration>(notice * (1U << misses_), misses_ == 0 ? job_.checkpoint.min_gap : Duration{});
    after = std::max({after, newest_iteration().value, pace_.at(now + ahead).value});
  }
  next_checkpoint_ = std::min(Iteration{(after / interval + 1) * interval}, job_.iterations);
  effects.push_back(Publish{make(CheckpointBegin{next_checkpoint_, view_.restore.epoch})});
}

void Coordinator::finish_if_done(Time now, Effects& effects) {
  if (state_ != RunState::running || committed_ != job_.iterations || !last_committed_at_) {
    return;
  }
  const bool measured =
      timings_through_ >= job_.iterations && (job_.evaluate_interval == 0 || evaluations_through_ >= job_.iterations);
  if (measured || now - *last_committed_at_ > evaluation_grace) {
    stop(now, RunState::completed, "all " + std::to_string(job_.iterations.value) + " iterations are done", effects);
  }
}

}  // namespace ringps
