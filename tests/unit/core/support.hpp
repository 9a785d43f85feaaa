// A small job, its views and messages, for the tests of the cores.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libps/core/assignment.hpp"
#include "libps/core/client.hpp"
#include "libps/core/job.hpp"
#include "libps/ring/view.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

using std::chrono::milliseconds;

inline constexpr Time start_time = Time{} + std::chrono::seconds(100);
inline const std::string digest(64, 'd');

/// Tensors "a" of 4 elements and "b" of 2, in blocks of 2; two workers, two slices, plain SGD with a rate of 1.
inline JobSpec small_job() {
  JobSpec job;
  job.cluster = "test";
  job.seed = 1;
  job.tensors = {{"a", {4}, {1.0F, 1.0F}}, {"b", {2}, {5.0F, 5.0F}}};
  job.block_elements = 2;
  job.virtual_nodes = 4;
  job.servers = 1;
  job.workers = 2;
  job.slices = 2;
  job.iterations = Iteration{10};
  job.optimizer.learning_rate = 1.0F;
  return job;
}

inline std::vector<BlockRun> all_blocks() {
  return {{0, 0, 2}, {1, 0, 1}};
}

/// server0 …, worker0 … in incarnation 1, slices dealt out.
inline View make_view(const JobSpec& job, std::uint64_t epoch, std::uint32_t servers, std::uint32_t workers,
                      Restore restore = {Epoch{1}, {}, ""}) {
  View view;
  view.epoch = Epoch{epoch};
  view.restore = std::move(restore);
  view.owned_since = view.restore.epoch;
  for (std::uint32_t s = 0; s < servers; ++s) {
    const std::string id = "server" + std::to_string(s);
    view.servers.push_back({{id}, Incarnation{1}, "tcp://" + id});
    view.settled_ring.push_back({{id}, Incarnation{1}});
  }
  for (std::uint32_t w = 0; w < workers; ++w) {
    view.workers.push_back({{"worker" + std::to_string(w)}, Incarnation{1}});
  }
  view.slice_worker = assign_slices(job, {}, view);
  view.placement_digest =
      Placement(view, BlockTable(job.tensors, job.block_elements), job.virtual_nodes, job.replicas).digest();
  view.cause = "a test";
  return view;
}

inline Payload payload_of(std::vector<float> values) {
  return Payload::of(std::make_shared<const std::vector<float>>(std::move(values)));
}

inline std::vector<float> floats_of(const Payload& payload) {
  std::vector<float> values(payload.size() / sizeof(float));
  std::memcpy(values.data(), payload.data(), payload.size());
  return values;
}

/// The effects of one kind, in order.
template <class Kind, class Effects>
std::vector<Kind> all(const Effects& effects) {
  std::vector<Kind> found;
  for (const auto& effect : effects) {
    if (const auto* one = std::get_if<Kind>(&effect)) {
      found.push_back(*one);
    }
  }
  return found;
}

/// What the server that a worker has asked says.
inline Message answer_to(const ClientCore::Send& request, const View& view, Body body, Payload payload) {
  const Envelope& asked = request.message.envelope;
  return {{"test", Role::server, view.servers[request.server].id.value, Incarnation{1}, asked.epoch, asked.request},
          std::move(body),
          std::move(payload)};
}

}  // namespace ringps

template <class Tag, class Rep>
struct Catch::StringMaker<ringps::Number<Tag, Rep>> {
  static std::string convert(ringps::Number<Tag, Rep> number) { return std::to_string(number.value); }
};
