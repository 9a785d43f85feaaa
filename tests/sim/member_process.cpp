#include "tests/sim/member_process.hpp"

#include <algorithm>

#include "tests/sim/coordinator_process.hpp"
#include "tests/sim/story.hpp"

namespace ringps::sim {

MemberProcess::MemberProcess(World& world, Host& host, std::string endpoint)
    : world_(world),
      host_(host),
      member_(world.job(), {host.role, host.name, host.incarnation, std::move(endpoint), job_digest, host.life}) {}

void MemberProcess::start() {
  Member::Effects effects;
  member_.on_start(now(), effects);
  carry_out(effects);
}

void MemberProcess::on_message(const Route& from, Message message) {
  ++turns_;
  if (message.envelope.role != Role::coordinator) {
    on_data(from, std::move(message));
    return;
  }
  Member::Effects effects;
  member_.on_message(now(), message, effects);
  carry_out(effects);
}

void MemberProcess::on_tick() {
  ++turns_;
  Member::Effects effects;
  member_.on_tick(now(), {turns_, iteration(), lineage(), waiting_for(), 0}, effects);
  carry_out(effects);
  on_data_tick();
}

void MemberProcess::tell(Body body) {
  through_mailbox([this, body = std::move(body)] {
    Member::Effects effects;
    member_.tell(now(), body, effects);
    carry_out(effects);
  });
}

void MemberProcess::send(Body body) {
  through_mailbox([this, body = std::move(body)] {
    Member::Effects effects;
    member_.send(body, effects);
    carry_out(effects);
  });
}

void MemberProcess::through_mailbox(std::function<void()> step) {
  const Duration usual = world_.dice().between(Duration{}, Duration(std::chrono::microseconds(200)));
  mailbox_free_ = std::max(world_.now() + world_.pace(host_, usual), mailbox_free_);
  world_.after(host_, mailbox_free_ - world_.now(), std::move(step));
}

void MemberProcess::carry_out(const Member::Effects& effects) {
  for (const auto& effect : effects) {
    world_.before_effect(host_);
    std::visit([&](const auto& each) { carry_out(each); }, effect);
  }
}

void MemberProcess::carry_out(const Member::Send& send) {
  world_.witness(&Checker::on_sent, host_, send.message);
  Host& coordinator = world_.coordinator();
  world_.network().send_up(host_, coordinator, coordinator.life, send.message);
}

void MemberProcess::carry_out(const Member::Subscribe&) {
  host_.subscribed = true;
}

void MemberProcess::carry_out(const Member::Adopt& adopt) {
  through_mailbox([this, view = adopt.view] { on_view(view); });
}

void MemberProcess::carry_out(const Member::Heard& heard) {
  through_mailbox([this, answer = heard.answer] { on_heard(answer); });
}

void MemberProcess::carry_out(const Ended& ended) {
  if (world_.tells_story()) {
    world_.tell(host_.label + " ends: " + ended.text);
  }
  if (ended.why == Ended::Why::run_over) {
    Member::Effects effects;
    member_.send(Leave{}, effects);
    for (const auto& effect : effects) {
      carry_out(std::get<Member::Send>(effect));
    }
    throw Gone{};
  }
  if (ended.why == Ended::Why::retired) {
    throw Gone{};
  }
  // Whoever looks after processes starts another one: soon if it was removed, not so soon if it was turned away.
  throw Gone{ended.why == Ended::Why::removed ? std::chrono::milliseconds(5) : std::chrono::milliseconds(500)};
}

}  // namespace ringps::sim
