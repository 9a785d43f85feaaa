// The coordinator's core and its shell: journal, manifests, sockets.
#pragma once

#include "libps/core/coordinator.hpp"
#include "tests/sim/world.hpp"

namespace ringps::sim {

/// What every process of a run has to be configured with.
inline const std::string job_digest(64, 'a');

class CoordinatorProcess : public Process {
 public:
  CoordinatorProcess(World& world, Host& host);

  void start() override;
  void on_message(const Route& from, Message message) override;
  void on_tick() override;
  Time next_deadline() const override { return core_.next_deadline(); }
  std::string waiting_for() const override;

 private:
  std::optional<Coordinator::Recovered> recover() const;
  void carry_out(const Coordinator::Effects& effects);
  void carry_out(const Coordinator::Send& send);
  void carry_out(const Coordinator::Publish& publish);
  void carry_out(const Coordinator::PersistView& persist);
  void carry_out(const Coordinator::CommitCheckpoint& commit);
  void carry_out(const Coordinator::Record& record) { world_.store().record(record.progress); }
  void carry_out(const Coordinator::Log& log);
  void carry_out(const Coordinator::Exit& exit);

  World& world_;
  Host& host_;
  Coordinator core_;
};

}  // namespace ringps::sim
