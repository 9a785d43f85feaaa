// The core of a worker, whichever mode of consistency the job has: ClientCore or AsyncClientCore. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libps/core/async_client.hpp"
#include "libps/core/client.hpp"

namespace ringps {

class WorkerCore {
 public:
  using Effects = ClientCore::Effects;
  using Task = ClientCore::Task;

  WorkerCore(const JobSpec& job, WorkerId id, Incarnation incarnation) : core_(make(job, std::move(id), incarnation)) {}

  void on_view(Time now, const View& view, Effects& effects) {
    std::visit([&](auto& core) { core.on_view(now, view, effects); }, core_);
  }
  void on_message(Time now, Message message, Effects& effects) {
    std::visit([&](auto& core) { core.on_message(now, std::move(message), effects); }, core_);
  }
  void on_tick(Time now, Effects& effects) {
    std::visit([&](auto& core) { core.on_tick(now, effects); }, core_);
  }
  Time next_deadline() const {
    return std::visit([](const auto& core) { return core.next_deadline(); }, core_);
  }
  std::optional<Task> next_task() const {
    return std::visit([](const auto& core) { return core.next_task(); }, core_);
  }
  void contribute(Time now, const Task& task, std::shared_ptr<const Floats> gradient, Effects& effects,
                  std::shared_ptr<const Floats> row_gradient = nullptr) {
    std::visit([&](auto& core) { core.contribute(now, task, std::move(gradient), effects, std::move(row_gradient)); },
               core_);
  }
  std::optional<ClientCore::Choice> next_choice() const {
    return std::visit([](const auto& core) { return core.next_choice(); }, core_);
  }
  void choose(Time now, const ClientCore::Choice& choice, std::vector<std::vector<std::uint64_t>> ids,
              Effects& effects) {
    std::visit([&](auto& core) { core.choose(now, choice, std::move(ids), effects); }, core_);
  }
  Iteration version() const {
    return std::visit([](const auto& core) { return core.version(); }, core_);
  }
  bool finished() const {
    return std::visit([](const auto& core) { return core.finished(); }, core_);
  }
  std::string waiting_for() const {
    return std::visit([](const auto& core) { return core.waiting_for(); }, core_);
  }
  const View& view() const {
    return std::visit([](const auto& core) -> const View& { return core.view(); }, core_);
  }
  const Traffic& traffic() const {
    return std::visit([](const auto& core) -> const Traffic& { return core.traffic(); }, core_);
  }
  /// Of AsyncClientCore; empty in bsp.
  std::vector<std::uint64_t> staleness() const {
    const auto* core = std::get_if<AsyncClientCore>(&core_);
    return core == nullptr ? std::vector<std::uint64_t>{} : core->staleness();
  }

 private:
  using Core = std::variant<ClientCore, AsyncClientCore>;

  static Core make(const JobSpec& job, WorkerId id, Incarnation incarnation) {
    if (job.asynchronous()) {
      return Core(std::in_place_type<AsyncClientCore>, job, std::move(id), incarnation);
    }
    return Core(std::in_place_type<ClientCore>, job, std::move(id), incarnation);
  }

  Core core_;
};

}  // namespace ringps
