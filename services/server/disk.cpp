#include "services/server/disk.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "libps/core/clocks.hpp"
#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"

namespace ringps {
namespace {

/// From a block's clocks in a checkpoint, none where it is of a synchronous run, to those that the job's blocks have.
Result<void> fit_clocks(const JobSpec& job, const Restore& restore, Floats& clocks) {
  const auto differs = [&](const std::string& what) {
    return Error{restore.checkpoint + ": the checkpoint does not fit this run: " + what};
  };
  const std::size_t found = clocks.size() / floats_per_clock;
  if (!job.asynchronous()) {
    for (std::size_t slot = 0; slot < found; ++slot) {
      if (clock_at(clocks, slot) != restore.iteration) {
        return differs(
            "it is of an asynchronous run whose slices were at different iterations; expected its last one, "
            "or train.consistency ssp or asp");
      }
    }
    clocks.clear();
    return {};
  }
  if (found != 0 && found != job.slices) {
    return differs("it has clocks of " + std::to_string(found) + " slices, expected " + std::to_string(job.slices));
  }
  if (found == 0) {
    clocks.resize(job.slices * floats_per_clock);
    for (std::size_t slot = 0; slot < job.slices; ++slot) {
      set_clock(clocks, slot, restore.iteration);
    }
  }
  return {};
}

}  // namespace

namespace {

/// Whatever else wants the processor goes before this thread, which nobody waits for: a fourth of a core is left to it
/// where all are busy, so that a checkpoint ends in any case.
void give_way() {
  constexpr int nice = 5;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);  // Linux: of the thread; in vain is no harm
}

}  // namespace

Disk::Disk(const JobSpec& job, const BlockTable& table, ServerId server, Incarnation incarnation,
           std::filesystem::path checkpoints)
    : job_(job),
      table_(table),
      server_(std::move(server)),
      incarnation_(incarnation),
      checkpoints_(std::move(checkpoints)),
      thread_([this] { run(); }) {}

Disk::~Disk() {
  orders_.put(Quit{});
  thread_.join();
}

void Disk::run() {
  give_way();
  for (;;) {
    pollfd readable{orders_.descriptor(), POLLIN, 0};
    poll(&readable, 1, -1);
    std::vector<Order> orders = orders_.take_all();
    if (std::any_of(orders.begin(), orders.end(),
                    [](const Order& order) { return std::holds_alternative<Quit>(order); })) {
      return;
    }
    for (Order& order : orders) {
      if (auto* checkpoint = std::get_if<Shard::WriteCheckpoint>(&order)) {
        done_.put(write(std::move(*checkpoint)));
      } else {
        done_.put(restore(std::get<Shard::RestoreBlocks>(order)));
      }
    }
  }
}

Disk::Done Disk::write(Shard::WriteCheckpoint order) const {
  std::vector<StoredBlock> blocks;
  for (const Shard::SnapshotBlock& snapshot : order.blocks) {
    if (snapshot.rows) {
      blocks.push_back({snapshot.block, {}, {}, std::as_bytes(snapshot.rows.clocks()), &snapshot.rows});
      continue;
    }
    const std::size_t elements = table_[snapshot.block].elements;
    const std::span<const float> buffer = snapshot.buffer.values();
    const std::size_t model = elements * (1 + job_.optimizer.state_per_element());
    blocks.push_back({snapshot.block, std::as_bytes(buffer.first(elements)),
                      std::as_bytes(buffer.subspan(elements, model - elements)), std::as_bytes(buffer.subspan(model)),
                      nullptr});
  }
  // What has been written the shard can write its next versions into, rather than ask for memory.
  const auto let_go = [&](BlockId block) {
    const auto at = std::lower_bound(order.blocks.begin(), order.blocks.end(), block,
                                     [](const auto& snapshot, BlockId wanted) { return snapshot.block < wanted; });
    at->buffer = nullptr;
    at->rows = {};
  };
  auto files = write_shard(checkpoints_, order.iteration, server_, incarnation_, table_, blocks, let_go);
  if (!files) {
    return Broken{server_.value + " cannot write checkpoint " + std::to_string(order.iteration.value) + ": " +
                  files.error()};
  }
  return Written{{order.iteration, order.restore_epoch, order.owned_since, std::move(*files)}};
}

Disk::Done Disk::restore(const Shard::RestoreBlocks& order) const {
  auto loaded = load_blocks(order.restore.checkpoint, table_, job_.optimizer.state_per_element(), order.blocks, true);
  if (!loaded) {
    return RestoreFailed{order.restore.epoch, server_.value + " cannot restore its blocks: " + loaded.error()};
  }
  Restored restored{order.restore.epoch, {}};
  for (LoadedBlock& block : *loaded) {
    if (auto fitting = fit_clocks(job_, order.restore, block.rows ? block.rows->clocks : block.clocks); !fitting) {
      return RestoreFailed{order.restore.epoch, server_.value + " cannot restore its blocks: " + fitting.error()};
    }
    if (block.rows) {
      restored.states.emplace_back(std::move(*block.rows));
      continue;
    }
    BlockBuffer buffer(block.values.size() + block.state.size() + block.clocks.size());
    std::copy(block.clocks.begin(), block.clocks.end(),
              std::copy(block.state.begin(), block.state.end(),
                        std::copy(block.values.begin(), block.values.end(), buffer.data())));
    restored.states.emplace_back(std::move(buffer));
  }
  return restored;
}

}  // namespace ringps
