// The control side that servers and workers share. In the real programs it runs on a thread of its own: it exchanges
// orders and news with the data side through mailboxes, so here they take a moment too.
#pragma once

#include "libps/core/member.hpp"
#include "tests/sim/world.hpp"

namespace ringps::sim {

class MemberProcess : public Process {
 public:
  MemberProcess(World& world, Host& host, std::string endpoint);

  void start() override;
  void on_message(const Route& from, Message message) override;
  void on_tick() override;
  Time next_deadline() const override { return std::min(member_.next_deadline(), data_deadline()); }

 protected:
  // The data side.
  virtual void on_view(const View& view) = 0;
  virtual void on_heard(const HeartbeatAnswer& answer) = 0;
  virtual void on_data(const Route& from, Message message) = 0;
  virtual void on_data_tick() = 0;
  virtual Time data_deadline() const = 0;
  virtual Iteration iteration() const = 0;
  virtual Epoch lineage() const = 0;

  /// The data side's orders to the control side.
  void tell(Body body);
  void send(Body body);

  Time now() const { return world_.local_time(host_); }
  /// Runs `step` when it has come through a mailbox; what was put in first comes first.
  void through_mailbox(std::function<void()> step);

  World& world_;
  Host& host_;

 private:
  void carry_out(const Member::Effects& effects);
  void carry_out(const Member::Send& send);
  void carry_out(const Member::Subscribe& subscribe);
  void carry_out(const Member::Adopt& adopt);
  void carry_out(const Member::Heard& heard);
  void carry_out(const Ended& ended);

  Member member_;
  std::uint64_t turns_ = 0;
  Time mailbox_free_;  ///< when the last of what is in the mailboxes comes through
};

}  // namespace ringps::sim
