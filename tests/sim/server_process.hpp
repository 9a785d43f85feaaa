// A shard's core and its shell: the control side, sockets, the disk.
#pragma once

#include "libps/core/shard.hpp"
#include "tests/sim/member_process.hpp"

namespace ringps::sim {

std::string endpoint_of(const Host& host);

class ServerProcess : public MemberProcess {
 public:
  ServerProcess(World& world, Host& host);

  std::string waiting_for() const override;
  void on_disconnected(const std::string& server, Incarnation incarnation) override;

 protected:
  void on_view(const View& view) override;
  void on_heard(const HeartbeatAnswer& answer) override;
  void on_data(const Route& from, Message message) override;
  void on_data_tick() override;
  Time data_deadline() const override { return shard_.next_deadline(); }
  Iteration iteration() const override { return shard_.newest(); }
  Epoch lineage() const override { return shard_.restore_epoch(); }

 private:
  void carry_out(const Shard::Effects& effects);
  void carry_out(const Shard::Reply& reply);
  void carry_out(const Shard::ToServer& order);
  void carry_out(const Shard::FetchView&) { send(GetView{}); }
  void carry_out(const Shard::RestoreBlocks& restore);
  void carry_out(const Shard::WriteCheckpoint& write);
  void carry_out(const Shard::Tell& order) { tell(order.body); }

  Shard shard_;
};

}  // namespace ringps::sim
