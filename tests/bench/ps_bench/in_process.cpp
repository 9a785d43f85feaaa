#include "tests/bench/ps_bench/in_process.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "libps/base/check.hpp"
#include "libps/config/job.hpp"
#include "libps/core/client.hpp"
#include "libps/core/shard.hpp"
#include "libps/net/clock.hpp"
#include "libps/wire/codec.hpp"
#include "tests/bench/ps_bench/cluster.hpp"

namespace ringps::bench {
namespace {

/// The view of one server and one worker that both have joined.
View first_view(const JobSpec& job, const BlockTable& table) {
  View view;
  view.epoch = {1};
  view.servers = {{{"server0"}, {1}, "", true}};
  view.settled_ring = {{{"server0"}, {1}}};
  view.workers = {{{"worker0"}, {1}}};
  view.slice_worker.assign(job.slices, 0);
  view.restore.epoch = view.epoch;
  view.owned_since = view.epoch;
  view.placement_digest = Placement(view, table, job.virtual_nodes, job.replicas).digest();
  return view;
}

Message carried(Message message, bool codec) {
  if (!codec) {
    return message;
  }
  const std::string header = encode_header(message);
  auto decoded = decode(std::as_bytes(std::span(header)), message.payload.empty() ? nullptr : &message.payload);
  check(decoded.ok(), "what is encoded can be decoded");
  return std::move(decoded).value();
}

}  // namespace

Result<InProcessResult> run_in_process(const InProcess& wanted) {
  const auto config = config_of({wanted.floats, 1, 1, 1, "ipc", wanted.iterations + timed_after, {}});
  if (!config) {
    return config.failure();
  }
  const auto tensors = model_tensors(*config);
  if (!tensors) {
    return tensors.failure();
  }
  const JobSpec job = make_job(*config, *tensors);
  Shard shard(job, {"server0"}, {1});
  ClientCore client(job, {"worker0"}, {1});
  ClientCore::Effects requests;
  Shard::Effects answers;
  const View view = first_view(job, shard.table());
  shard.on_view(now(), view, answers);
  client.on_view(now(), view, requests);
  answers.clear();

  InProcessResult result{shard.table().flat_elements(), {}};
  const auto gradient = std::make_shared<const Floats>(result.floats, 1e-6F);
  Time last{};
  while (!client.finished()) {
    if (const auto task = client.next_task()) {
      client.contribute(now(), *task, gradient, requests);
    }
    check(!requests.empty(), "a worker that is not done has something to ask");
    for (ClientCore::Effect& effect : std::exchange(requests, {})) {
      if (const auto* reached = std::get_if<ClientCore::Reached>(&effect)) {
        const Time at = now();
        if (reached->weights.version.value > timed_after) {
          result.seconds.push_back(seconds(at - last));
        }
        last = at;
      } else if (auto* send = std::get_if<ClientCore::Send>(&effect)) {
        shard.on_message(now(), "worker0", carried(std::move(send->message), wanted.codec), answers);
        for (Shard::Effect& answer : answers) {
          if (auto* reply = std::get_if<Shard::Reply>(&answer)) {
            client.on_message(now(), carried(std::move(reply->message), wanted.codec), requests);
          }
        }
        answers.clear();
      } else {
        return Error{std::get<ClientCore::GiveUp>(effect).text};
      }
    }
  }
  return result;
}

}  // namespace ringps::bench
