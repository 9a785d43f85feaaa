#include "tests/sim/server_process.hpp"

#include "libps/base/sha256.hpp"

namespace ringps::sim {

std::string endpoint_of(const Host& host) {
  return "sim://" + host.name + "/" + std::to_string(host.incarnation.value);
}

ServerProcess::ServerProcess(World& world, Host& host)
    : MemberProcess(world, host, endpoint_of(host)), shard_(world.job(), {host.name}, host.incarnation) {}

std::string ServerProcess::waiting_for() const {
  return shard_.waiting_for();
}

void ServerProcess::on_view(const View& view) {
  Shard::Effects effects;
  shard_.on_view(now(), view, effects);
  world_.witness(&Checker::on_adopted, host_, view);
  carry_out(effects);
}

void ServerProcess::on_heard(const HeartbeatAnswer& answer) {
  if (answer.next_checkpoint.value != 0) {
    Shard::Effects effects;
    shard_.on_checkpoint_begin(now(), answer.next_checkpoint, answer.restore_epoch, effects);
    carry_out(effects);
  }
}

void ServerProcess::on_data(const Route& from, Message message) {
  world_.note_request(host_, from, message);
  world_.witness(&Checker::before_shard_message, host_, message, shard_);
  Shard::Effects effects;
  shard_.on_message(now(), from, message, effects);
  world_.witness(&Checker::after_shard_message, host_, message, shard_, effects);
  carry_out(effects);
}

void ServerProcess::on_data_tick() {
  Shard::Effects effects;
  shard_.on_tick(now(), effects);
  carry_out(effects);
}

void ServerProcess::on_disconnected(const std::string& server, Incarnation incarnation) {
  send(Suspect{{server}, incarnation});
}

void ServerProcess::carry_out(const Shard::Effects& effects) {
  world_.witness(&Checker::on_shard_step, host_, shard_);
  for (const auto& effect : effects) {
    world_.before_effect(host_);
    std::visit([&](const auto& each) { carry_out(each); }, effect);
  }
}

void ServerProcess::carry_out(const Shard::Reply& reply) {
  world_.witness(&Checker::on_sent, host_, reply.message);
  world_.witness(&Checker::on_answered, host_, reply.to, reply.message);
  world_.network().send_down(host_, reply.to, reply.message);
}

void ServerProcess::carry_out(const Shard::ToServer& order) {
  world_.witness(&Checker::on_sent, host_, order.message);
  const ServerMember& server = shard_.view().servers[order.server];
  if (Host* to = world_.find([&](const Host& host) { return endpoint_of(host) == server.endpoint; })) {
    world_.network().send_up(host_, *to, to->life, order.message);
  }
}

void ServerProcess::carry_out(const Shard::RestoreBlocks& restore) {
  world_.witness(&Checker::on_restore, host_, restore.restore);
  const Duration time = world_.pace(host_, world_.dice().between(Duration{}, world_.scenario().disk_time));
  world_.after(host_, time, [this, restore] {
    const Manifest* manifest = world_.store().manifest(restore.restore.checkpoint);
    if (manifest == nullptr) {
      Shard::Effects effects;
      shard_.on_restore_failed(restore.restore.epoch, "there is no checkpoint '" + restore.restore.checkpoint + "'",
                               effects);
      carry_out(effects);
      return;
    }
    std::vector<BlockState> states;
    for (const BlockId block : restore.blocks) {
      for (const auto& each : manifest->files) {
        const StoredFile& file = *world_.store().file(each.file.name);
        if (const auto at = file.blocks.find(block); at != file.blocks.end()) {
          states.emplace_back(BlockBuffer(std::span<const float>(at->second)));
          break;
        }
        if (const auto at = file.rows.find(block); at != file.rows.end()) {
          states.emplace_back(at->second);
          break;
        }
      }
    }
    Shard::Effects effects;
    shard_.on_restored(now(), restore.restore.epoch, std::move(states), effects);
    carry_out(effects);
  });
}

void ServerProcess::carry_out(const Shard::WriteCheckpoint& write) {
  const Duration time = world_.pace(host_, world_.dice().between(Duration{}, world_.scenario().disk_time));
  world_.after(host_, time, [this, write] {
    world_.before_write(host_);
    StoredFile file{write.iteration, write.restore_epoch, {}, {}};
    std::vector<BlockId> blocks;
    Sha256 digest;
    std::uint64_t bytes = 0;
    for (const auto& each : write.blocks) {
      blocks.push_back(each.block);
      if (each.rows) {
        file.rows[each.block] = each.rows.image();
        digest.update(std::as_bytes(std::span(file.rows[each.block].values)));
        continue;
      }
      file.blocks[each.block].assign(each.buffer.values().begin(), each.buffer.values().end());
      digest.update(std::as_bytes(each.buffer.values()));
      bytes += each.buffer.size() * sizeof(float);
    }
    const std::string name = "iteration " + std::to_string(write.iteration.value) + " of epoch " +
                             std::to_string(write.restore_epoch.value) + ", owned since " +
                             std::to_string(write.owned_since.value) + ", by " + endpoint_of(host_);
    world_.store().write(name, std::move(file));
    tell(BlocksWritten{write.iteration,
                       write.restore_epoch,
                       write.owned_since,
                       {{name, false, bytes, digest.hex(), shard_.table().runs(blocks)}}});
  });
}

}  // namespace ringps::sim
