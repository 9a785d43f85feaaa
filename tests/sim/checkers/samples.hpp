// Promise 11: each sample is used exactly once per pass over the data. The schedule names the samples of (iteration,
// slice); so it must hold that every slice has exactly one worker, that the iterations which make up the final weights
// have had all of their slices, and that these use up each pass.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "libps/core/assignment.hpp"
#include "libps/data/schedule.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class EachSampleOnce : public Checker {
 public:
  using Checker::Checker;

  void on_persisted(const View& view) override {
    const JobSpec& job = evidence_.job;
    for (std::uint32_t s = 0; s < job.slices; ++s) {
      const std::uint32_t worker = s < view.slice_worker.size() ? view.slice_worker[s] : no_worker;
      const bool wanted = job.worker_scope == WorkerScope::all ||
                          view.server_index("server" + std::to_string(home_of(job, SliceId{s}))).has_value();
      const bool nobody = worker >= view.workers.size();
      const bool enough = view.workers.size() >= std::max(job.min_workers, 1U);
      if (view.slice_worker.size() != job.slices || nobody != (!wanted || !enough)) {
        violated(promise, "in epoch " + std::to_string(view.epoch.value) + " slice " + std::to_string(s) +
                              (nobody ? " is nobody's" : " is somebody's"));
      }
    }
  }

  void before_shard_message(const Host&, const Message& message, const Shard&) override {
    if (message.payload.empty()) {  // only asks
      return;
    }
    if (const auto* push = std::get_if<Push>(&message.body)) {
      came_.emplace(push->iteration, push->slice);
    } else if (const auto* push_pull = std::get_if<PushPull>(&message.body)) {
      came_.emplace(push_pull->iteration, push_pull->slice);
    } else if (const auto* push_rows = std::get_if<PushRows>(&message.body)) {
      came_.emplace(push_rows->iteration, push_rows->slice);
    }
  }

  void on_finished(RunState, const std::string&) override {
    const JobSpec& job = evidence_.job;
    const bool own = job.worker_scope == WorkerScope::server;
    if (own && !evidence_.bits_hold) {
      return;  // slices went with their servers
    }
    // The simulated jobs have no data: any number of samples and any batch will do.
    const auto samples = static_cast<std::uint32_t>(7 + job.seed % 50);
    Schedule schedule({job.seed, samples, job.slices, static_cast<std::uint32_t>(1 + job.seed % 5),
                       own ? SampleStream::own : SampleStream::shared});
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> uses;  // by stream and sample
    for (Iteration iteration{1}; iteration <= job.iterations; iteration = iteration.next()) {
      for (std::uint32_t s = 0; s < job.slices; ++s) {
        if (iteration > evidence_.resume_from && evidence_.reference.is_used(SliceId{s}) &&
            !came_.contains({iteration, SliceId{s}})) {
          violated(promise, "nobody has used the samples of slice " + std::to_string(s) + " in iteration " +
                                std::to_string(iteration.value));
        }
        for (const std::uint32_t sample : schedule.samples(iteration, SliceId{s})) {
          ++uses[{own ? s : 0, sample}];
        }
      }
    }
    for (std::uint32_t stream = 0; stream < (own ? job.slices : 1); ++stream) {
      is_even(uses, stream, samples);
    }
  }

 private:
  static constexpr const char* promise = "11 (each sample once per pass)";

  /// At any time no sample of a stream has been used twice more than another.
  static void is_even(const std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>& uses,
                      std::uint32_t stream, std::uint32_t samples) {
    std::uint64_t least = ~std::uint64_t{0};
    std::uint64_t most = 0;
    for (std::uint32_t sample = 0; sample < samples; ++sample) {
      const auto at = uses.find({stream, sample});
      const std::uint64_t count = at == uses.end() ? 0 : at->second;
      least = std::min(least, count);
      most = std::max(most, count);
    }
    if (most > least + 1) {
      violated(promise, "one sample was used " + std::to_string(most) + " times, another " + std::to_string(least));
    }
  }

  std::set<std::pair<Iteration, SliceId>> came_;
};

}  // namespace ringps::sim
