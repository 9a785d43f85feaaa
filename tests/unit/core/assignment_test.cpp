#include "libps/core/assignment.hpp"

#include <rapidcheck.h>
#include <algorithm>
#include <functional>
#include <numeric>

#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

JobSpec job_of(WorkerScope scope, std::uint32_t servers, std::uint32_t workers, std::uint32_t slices) {
  JobSpec job = small_job();
  job.worker_scope = scope;
  job.servers = servers;
  job.workers = workers;
  job.slices = slices;
  return job;
}

/// Takes a member out of a view; slices are as before, by name.
View without_worker(const JobSpec& job, const View& before, std::size_t index) {
  View next = before;
  next.workers.erase(next.workers.begin() + static_cast<std::ptrdiff_t>(index));
  next.slice_worker = assign_slices(job, before, next);
  return next;
}

std::vector<std::size_t> loads(const View& view) {
  std::vector<std::size_t> loads;
  for (const WorkerMember& worker : view.workers) {
    loads.push_back(view.slices_of(worker.id.value).size());
  }
  return loads;
}

bool even(const View& view) {
  const auto each = loads(view);
  return each.empty() || *std::max_element(each.begin(), each.end()) <= *std::min_element(each.begin(), each.end()) + 1;
}

TEST_CASE("the number at the end of a name is its ordinal") {
  CHECK(ordinal("server12") == 12U);
  CHECK(ordinal("gpu7-worker03") == 3U);
  CHECK(ordinal("4") == 4U);
  CHECK_FALSE(ordinal("server"));
  CHECK_FALSE(ordinal(""));
  CHECK_FALSE(ordinal("server12a"));
  CHECK_FALSE(ordinal("server99999999999"));
}

TEST_CASE("names are ordered as people order them") {
  std::vector<std::string> names = {"server10", "server2", "b1", "server1", "b"};
  std::sort(names.begin(), names.end(), natural_less);
  CHECK(names == std::vector<std::string>{"b", "b1", "server1", "server2", "server10"});
}

TEST_CASE("slices are spread evenly, over whatever workers there are") {
  CHECK(rc::check([] {
    const auto workers = *rc::gen::inRange<std::uint32_t>(1, 9);
    const auto slices = *rc::gen::inRange<std::uint32_t>(1, 30);
    const JobSpec job = job_of(WorkerScope::all, 2, workers, slices);
    const View view = make_view(job, 1, 2, workers);
    RC_ASSERT(even(view));
    for (const std::uint32_t worker : view.slice_worker) {
      RC_ASSERT(worker < workers);
    }
  }));
}

TEST_CASE("when a worker goes, the others keep what they have, and what it had is spread evenly") {
  CHECK(rc::check([] {
    const auto workers = *rc::gen::inRange<std::uint32_t>(2, 9);
    const auto slices = *rc::gen::inRange<std::uint32_t>(1, 30);
    const JobSpec job = job_of(WorkerScope::all, 2, workers, slices);
    const View before = make_view(job, 1, 2, workers);
    const auto gone = *rc::gen::inRange<std::size_t>(0, workers);
    const View after = without_worker(job, before, gone);
    RC_ASSERT(even(after));
    for (std::uint32_t s = 0; s < slices; ++s) {
      const WorkerMember& had = before.workers[before.slice_worker[s]];
      if (!(had == before.workers[gone])) {
        RC_ASSERT(after.workers[after.slice_worker[s]] == had);
      }
    }
  }));
}

TEST_CASE("a worker that joins takes no more than it has to") {
  CHECK(rc::check([] {
    const auto workers = *rc::gen::inRange<std::uint32_t>(1, 8);
    const auto slices = *rc::gen::inRange<std::uint32_t>(1, 30);
    const JobSpec job = job_of(WorkerScope::all, 2, workers, slices);
    const View before = make_view(job, 1, 2, workers);
    View after = before;
    after.workers.push_back({{"worker" + std::to_string(workers)}, Incarnation{1}});
    after.slice_worker = assign_slices(job, before, after);
    RC_ASSERT(even(after));
    const auto moved = static_cast<std::size_t>(
        std::inner_product(before.slice_worker.begin(), before.slice_worker.end(), after.slice_worker.begin(), 0,
                           std::plus<>(), [](auto a, auto b) { return a != b ? 1 : 0; }));
    RC_ASSERT(moved == loads(after).back());
  }));
}

TEST_CASE("another incarnation of a worker has no claim to its slices") {
  const JobSpec job = job_of(WorkerScope::all, 1, 2, 4);
  const View before = make_view(job, 1, 1, 2);
  View after = before;
  after.workers = {{{"worker0"}, Incarnation{2}}, {{"worker1"}, Incarnation{1}}};
  after.slice_worker = assign_slices(job, before, after);
  for (const SliceId slice : before.slices_of("worker1")) {
    CHECK(after.slice_worker[slice.value] == 1);
  }
  CHECK(even(after));
}

TEST_CASE("without workers every slice is nobody's") {
  const JobSpec job = job_of(WorkerScope::all, 1, 2, 3);
  CHECK(make_view(job, 1, 1, 0).slice_worker == std::vector<std::uint32_t>(3, no_worker));
}

TEST_CASE("by server, each slice goes to a worker of its own server") {
  const JobSpec job = job_of(WorkerScope::server, 3, 6, 12);
  const View view = make_view(job, 1, 3, 6);
  for (std::uint32_t s = 0; s < job.slices; ++s) {
    CHECK(home_of(job, view.workers[view.slice_worker[s]].id.value) == home_of(job, SliceId{s}));
  }
  CHECK(even(view));
}

TEST_CASE("by server, the slices of a server that is not there are nobody's") {
  const JobSpec job = job_of(WorkerScope::server, 3, 3, 6);
  const View before = make_view(job, 1, 3, 3);
  View after = before;
  after.servers.erase(after.servers.begin() + 1);
  after.slice_worker = assign_slices(job, before, after);
  CHECK(after.slice_worker == std::vector<std::uint32_t>{0, 0, no_worker, no_worker, 2, 2});
}

TEST_CASE("by server, slices whose own workers are gone are computed by others") {
  const JobSpec job = job_of(WorkerScope::server, 2, 2, 4);
  const View after = without_worker(job, make_view(job, 1, 2, 2), 1);
  CHECK(after.slice_worker == std::vector<std::uint32_t>(4, 0));
}

TEST_CASE("by server, a slice contributes to its own server only, and the sum is not averaged") {
  const JobSpec all = job_of(WorkerScope::all, 2, 2, 4);
  const JobSpec own = job_of(WorkerScope::server, 2, 2, 4);
  CHECK(contributes(all, SliceId{3}, "server0"));
  CHECK_FALSE(contributes(own, SliceId{3}, "server0"));
  CHECK(contributes(own, SliceId{3}, "server1"));
  CHECK(reduction_scale(all) == 0.25F);
  CHECK(reduction_scale(own) == 1.0F);
}

}  // namespace
}  // namespace ringps
