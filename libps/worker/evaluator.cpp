#include "libps/worker/evaluator.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "libps/base/log.hpp"
#include "libps/net/event_loop.hpp"

namespace ringps {
namespace {

constexpr std::size_t kept_bytes_max = 256U << 20U;

}  // namespace

Evaluator::Evaluator(const JobSpec& job, std::string worker, const Model& model, std::size_t samples)
    : job_(job),
      worker_(std::move(worker)),
      kept_max_(std::max<std::size_t>(kept_bytes_max / (flat_offsets(job.tensors).back() * sizeof(float) + 1), 4)),
      thread_(
          [this, &model, samples] { run(model, samples == 0 ? std::numeric_limits<std::size_t>::max() : samples); }) {}

Evaluator::~Evaluator() {
  orders_.put(Quit{});
  thread_.join();
}

void Evaluator::on_view(const View& view) {
  if (view.restore.epoch != restore_epoch_) {
    kept_.clear();  // what is under way is still reported, as of the lineage that has ended
    restore_epoch_ = view.restore.epoch;
  }
  std::vector<std::uint32_t> evaluators;
  for (const std::uint32_t worker : view.slice_worker) {
    if (worker != no_worker) {
      evaluators.push_back(worker);
    }
  }
  std::sort(evaluators.begin(), evaluators.end());
  evaluators.erase(std::unique(evaluators.begin(), evaluators.end()), evaluators.end());
  const auto self = view.worker_index(worker_);
  const auto at = self ? std::find(evaluators.begin(), evaluators.end(), *self) : evaluators.end();
  evaluators_ = at == evaluators.end() ? 0 : static_cast<std::uint32_t>(evaluators.size());
  position_ = static_cast<std::uint32_t>(at - evaluators.begin());
  start_mine();
}

bool Evaluator::is_mine(Iteration version) const {
  return evaluators_ != 0 &&
         (version.value + job_.evaluate_interval - 1) / job_.evaluate_interval % evaluators_ == position_;
}

void Evaluator::on_weights(const Weights& weights) {
  const bool due = job_.evaluate_interval != 0 && weights.values &&
                   (weights.version.value % job_.evaluate_interval == 0 || weights.version == job_.iterations);
  if (!due || (!kept_.empty() && kept_.back().weights.version >= weights.version)) {
    return;
  }
  kept_.push_back({weights, false});
  if (kept_.size() > kept_max_) {
    log::warn("evaluation is behind: version {} is not evaluated", kept_.front().weights.version.value);
    kept_.pop_front();
  }
  start_mine();
}

void Evaluator::start_mine() {
  for (Kept& kept : kept_) {
    if (!kept.started && is_mine(kept.weights.version)) {
      kept.started = true;
      orders_.put(kept.weights);
    }
  }
}

void Evaluator::on_heard(const HeartbeatAnswer& answer) {
  if (answer.restore_epoch == restore_epoch_ && answer.state == RunState::running) {
    while (!kept_.empty() && kept_.front().weights.version <= answer.evaluations_through) {
      kept_.pop_front();
    }
  }
}

void Evaluator::run(const Model& model, std::size_t samples) {
  block_signals();
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 10);  // of this thread only
  for (;;) {
    pollfd readable{orders_.descriptor(), POLLIN, 0};
    poll(&readable, 1, -1);
    for (const Order& order : orders_.take_all()) {
      const auto* weights = std::get_if<Weights>(&order);
      if (weights == nullptr) {
        return;
      }
      const Evaluation found = model.evaluate(*weights->values, samples);
      done_.put({weights->restore_epoch, {weights->version, found.accuracy_percent, found.loss}});
    }
  }
}

}  // namespace ringps
