// A client's core and its shell: the control side, sockets, a computation that takes its time, reports.
#pragma once

#include <map>

#include "libps/core/worker_core.hpp"
#include "tests/sim/member_process.hpp"

namespace ringps::sim {

class WorkerProcess : public MemberProcess {
 public:
  WorkerProcess(World& world, Host& host);

  std::string waiting_for() const override { return client_.waiting_for(); }
  void on_disconnected(const std::string& server, Incarnation incarnation) override;

 protected:
  void on_view(const View& view) override;
  void on_heard(const HeartbeatAnswer& answer) override;
  void on_data(const Route& from, Message message) override;
  void on_data_tick() override;
  Time data_deadline() const override { return std::min(client_.next_deadline(), next_report_); }
  Iteration iteration() const override { return client_.version(); }
  Epoch lineage() const override { return client_.view().restore.epoch; }

 private:
  void carry_out(const ClientCore::Effects& effects);
  void carry_out(const ClientCore::Send& order);
  void carry_out(const ClientCore::Reached& reached);
  void carry_out(const ClientCore::GiveUp& give_up);
  void compute();

  // What was measured, until the coordinator confirms it.
  void report();
  bool is_mine(Iteration evaluation) const;

  WorkerCore client_;
  bool computing_ = false;

  Epoch lineage_;  ///< of the reports
  std::map<Iteration, IterationTiming> timings_;
  std::map<Iteration, EvaluationReport> evaluations_;
  Time next_report_ = time_never;
};

}  // namespace ringps::sim
