#include "services/psctl/sidecar_evaluator.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "libps/storage/checkpoint_store.hpp"

namespace ringps {

std::string score_text(const MeasuredEvaluation& score) {
  return score.accuracy ? fmt::format("log-loss {:.4f}, accuracy {:.2f} %", score.loss, *score.accuracy)
                        : fmt::format("error {:.4f}", score.loss);
}

SidecarEvaluator::SidecarEvaluator(const Config& config, std::filesystem::path checkpoints)
    : config_(config), checkpoints_(std::move(checkpoints)), thread_([this] { run(); }) {}

SidecarEvaluator::~SidecarEvaluator() {
  if (thread_.joinable()) {
    orders_.put(Quit{});
    thread_.join();
  }
}

std::vector<std::string> SidecarEvaluator::on_status(const Status& status) {
  if (status.view.epoch == Epoch{}) {
    return take_found();  // nobody has joined yet: the checkpoint is an earlier run's
  }
  restore_epoch_ = status.view.restore.epoch.value;
  const std::uint64_t iteration = status.committed_checkpoint.value;
  const std::uint64_t resumed = status.view.restore.iteration.value;
  const bool fresh = iteration > last_.iteration && iteration > resumed && iteration < config_.train.iterations;
  if (fresh && config_.evaluate.interval != 0 && iteration - last_.iteration >= config_.evaluate.interval) {
    last_ = {restore_epoch_, iteration};
    orders_.put(last_);
  }
  return take_found();
}

std::vector<MeasuredEvaluation> SidecarEvaluator::finish() {
  if (config_.evaluate.interval != 0 &&
      std::filesystem::exists(checkpoint_folder(checkpoints_, Iteration{config_.train.iterations}) / "manifest.json")) {
    orders_.put(Order{restore_epoch_, config_.train.iterations});
  }
  orders_.put(Quit{});
  thread_.join();
  take_found();
  return std::move(evaluations_);
}

std::vector<std::string> SidecarEvaluator::take_found() {
  std::vector<std::string> texts;
  for (const Found& found : found_.take_all()) {
    if (const auto* score = std::get_if<MeasuredEvaluation>(&found)) {
      evaluations_.push_back(*score);
      texts.push_back(fmt::format("evaluated at iteration {}: {}", score->iteration, score_text(*score)));
    } else {
      texts.push_back(std::get<std::string>(found));
    }
  }
  return texts;
}

void SidecarEvaluator::run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 10);  // of this thread only
  std::optional<TableScorer> scorer;
  for (;;) {
    pollfd readable{orders_.descriptor(), POLLIN, 0};
    poll(&readable, 1, -1);
    const auto orders = orders_.take_all();
    for (std::size_t i = 0; i < orders.size(); ++i) {
      if (std::holds_alternative<Quit>(orders[i])) {
        return;
      }
      if (i + 1 < orders.size() && std::holds_alternative<Order>(orders[i + 1])) {
        continue;  // a newer one is there already
      }
      if (!scorer) {
        auto created = TableScorer::create(config_);
        if (!created) {
          found_.put("models are not evaluated on the way: " + created.error());
          continue;
        }
        scorer.emplace(std::move(*created));
      }
      found_.put(evaluate(*scorer, std::get<Order>(orders[i])));
    }
  }
}

SidecarEvaluator::Found SidecarEvaluator::evaluate(const TableScorer& scorer, const Order& order) const {
  const auto score = scorer.score(checkpoint_folder(checkpoints_, Iteration{order.iteration}));
  if (!score) {  // it may have been deleted meanwhile, for newer ones
    return fmt::format("not evaluated at iteration {}: {}", order.iteration, score.error());
  }
  return MeasuredEvaluation{order.restore_epoch, order.iteration,
                            score->accuracy ? std::optional(100 * *score->accuracy) : std::nullopt, score->loss};
}

}  // namespace ringps
