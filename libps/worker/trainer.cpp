#include "libps/worker/trainer.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "libps/base/log.hpp"
#include "libps/client/client.hpp"
#include "libps/data/schedule.hpp"
#include "libps/net/clock.hpp"
#include "libps/optim/clip.hpp"
#include "libps/worker/evaluator.hpp"
#include "libps/worker/reporter.hpp"

namespace ringps {
namespace {

/// Times each iteration: from having one version of the weights to having the next.
class Stopwatch {
 public:
  void on_gradient(Time now) {
    if (!gradient_started_) {
      gradient_started_ = now;
    }
  }

  std::optional<IterationTiming> on_version(Time now, Iteration version) {
    std::optional<IterationTiming> timing;
    if (reached_at_ && version.value == reached_.value + 1) {
      timing = IterationTiming{version, seconds(now - *reached_at_),
                               seconds(now - gradient_started_.value_or(*reached_at_))};
    }
    reached_at_ = now;
    reached_ = version;
    gradient_started_.reset();
    return timing;
  }

 private:
  std::optional<Time> reached_at_;
  Iteration reached_;
  std::optional<Time> gradient_started_;
};

ScheduleSpec schedule_spec(const Config& config, const Model& model) {
  const bool own = config.cluster.worker_scope == WorkerScope::server;
  return {config.seed, static_cast<std::uint32_t>(model.train_samples()), config.train.slices, config.train.batch,
          own ? SampleStream::own : SampleStream::shared};
}

/// Gradients of slices; buffers come back once nobody reads them any more.
class GradientSource {
 public:
  GradientSource(const Job& job, Model& model)
      : model_(model), schedule_(schedule_spec(job.config, model)), clip_norm_(job.config.train.optimizer.clip_norm) {}

  struct Gradient {
    std::shared_ptr<const Floats> flat;
    std::shared_ptr<const Floats> rows;
  };

  RowIds choose_rows(Iteration iteration, SliceId slice) {
    RowIds ids(model_.tables().size());
    if (const auto samples = schedule_.samples(iteration, slice); !samples.empty()) {
      model_.choose_rows(samples, ids);
    }
    return ids;
  }

  Gradient compute(const Client::Task& task) {
    return task.rows ? compute_with_rows(task) : Gradient{compute_flat(task), nullptr};
  }

 private:
  Gradient compute_with_rows(const Client::Task& task) {
    const auto& offsets = task.rows->offsets();
    std::shared_ptr<Floats> flat = take_buffer(task.weights->size());
    auto rows = std::make_shared<Floats>(offsets.back(), 0.0F);
    std::vector<std::span<const float>> values;
    std::vector<std::span<float>> slopes;
    std::vector<RowGradients> of_rows;
    for (std::uint32_t t = 0; t + 1 < offsets.size(); ++t) {
      values.push_back(task.rows->values(t));
      slopes.push_back(std::span(*rows).subspan(offsets[t], offsets[t + 1] - offsets[t]));
      of_rows.push_back({task.rows->ids(t), slopes.back()});
    }
    const auto samples = schedule_.samples(task.iteration, task.slice);
    if (samples.empty()) {
      std::fill(flat->begin(), flat->end(), 0.0F);
    } else {
      model_.gradient_with_rows(*task.weights, values, samples, *flat, slopes);
      finish(*flat, of_rows, task.slice);
    }
    return {flat, rows};
  }

  std::shared_ptr<const Floats> compute_flat(const Client::Task& task) {
    std::shared_ptr<Floats> buffer = take_buffer(task.weights->size());
    const auto samples = schedule_.samples(task.iteration, task.slice);
    if (samples.empty()) {
      std::fill(buffer->begin(), buffer->end(), 0.0F);
      return buffer;
    }
    model_.gradient(*task.weights, samples, *buffer);
    finish(*buffer, {}, task.slice);
    return buffer;
  }

  void finish(std::span<float> gradient, std::span<const RowGradients> rows, SliceId slice) const {
    if (clip_norm_ > 0.0) {
      clip(gradient, rows, clip_norm_);
    }
    if (const float weight = schedule_.weight(slice); weight != 1.0F) {
      const auto weigh = [weight](std::span<float> values) {
        std::for_each(values.begin(), values.end(), [weight](float& element) { element *= weight; });
      };
      weigh(gradient);
      for (const RowGradients& each : rows) {
        weigh(each.values);
      }
    }
  }

  std::shared_ptr<Floats> take_buffer(std::size_t size) {
    for (auto& buffer : buffers_) {
      if (is_sole_owner(buffer)) {
        return buffer;
      }
    }
    buffers_.push_back(std::make_shared<Floats>(size, 0.0F));
    return buffers_.back();
  }

  Model& model_;
  Schedule schedule_;
  const double clip_norm_;
  std::vector<std::shared_ptr<Floats>> buffers_;
};

/// One incarnation, from joining to leaving.
Ended train_once(const Job& job, Model& model, const RoleOptions& options, std::uint64_t kill_at) {
  GradientSource gradients(job, model);
  Evaluator evaluator(job.spec, options.id, model, job.config.evaluate.samples);
  std::optional<Client> client;
  Reporter reporter(options.id, [&](Progress progress) { client->report(std::move(progress)); });
  Stopwatch stopwatch;

  Client::Hooks hooks;
  hooks.on_view = [&](const View& view) {
    log::info("view {}: {}; computes {} of {} slices", view.epoch.value, view.cause, view.slices_of(options.id).size(),
              job.spec.slices);
    reporter.on_view(view);
    evaluator.on_view(view);
  };
  hooks.on_weights = [&](const Weights& weights) {
    if (const auto timing = stopwatch.on_version(now(), weights.version)) {
      reporter.on_timing(now(), *timing);
    }
    evaluator.on_weights(weights);
    if (kill_at != 0 && weights.version.value >= kill_at) {
      kill_oneself();
    }
  };
  hooks.on_heard = [&](const HeartbeatAnswer& answer) {
    reporter.on_heard(answer);
    evaluator.on_heard(answer);
  };
  hooks.on_turn = [&](Time at) {
    for (const Evaluator::Done& done : evaluator.take_done()) {
      reporter.on_evaluation(done.restore_epoch, done.report);
    }
    reporter.on_staleness(client->staleness());
    reporter.on_traffic(client->traffic());
    reporter.on_turn(at);
  };

  hooks.choose_rows = [&](Iteration iteration, SliceId slice) { return gradients.choose_rows(iteration, slice); };

  client.emplace(job.spec, Client::Options{options.coordinator, {options.id}, job.digest}, std::move(hooks));
  while (const auto task = client->next()) {
    stopwatch.on_gradient(now());
    auto [flat, rows] = gradients.compute(*task);
    client->contribute(*task, std::move(flat), std::move(rows));
    if (task->iteration == job.spec.iterations) {  // the run may be over before the next turn
      reporter.on_staleness(client->staleness());
      reporter.on_traffic(client->traffic());
      reporter.on_end(now());
    }
  }
  reporter.on_traffic(client->traffic());
  reporter.on_end(now());
  return *client->ended();
}

}  // namespace

int train(const Job& job, Model& model, const RoleOptions& options) {
  std::uint64_t kill_at = options.kill_at;
  for (bool removed = false;; removed = true) {
    const Ended ended = train_once(job, model, options, kill_at);
    log::info("{}: {}", ended.why == Ended::Why::removed ? "removed from the cluster" : "ends", ended.text);
    if (removed && ended.why == Ended::Why::refused) {
      return exit_done;  // it went with its server, and there is no place for it any more
    }
    if (ended.why != Ended::Why::removed) {
      return exit_code(ended);
    }
    kill_at = 0;
  }
}

}  // namespace ringps
