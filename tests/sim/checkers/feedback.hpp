// Error feedback: with top_k a worker sends of each gradient, and what earlier ones of the slice have left unsent, the
// largest elements of each block; the same ones however often it sends them; and what is left counts once. Another
// worker, and whoever goes back to a checkpoint, begins without anything left.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "libps/wire/compression.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class ErrorFeedback : public Checker {
 public:
  using Checker::Checker;

  void on_adopted(const Host& host, const View& view) override {
    Worker& worker = workers_[life_of(host)];
    if (worker.epoch == view.epoch) {
      return;
    }
    worker.epoch = view.epoch;
    if (std::exchange(worker.lineage, view.restore.epoch) != view.restore.epoch) {
      worker.slices.clear();
    }
    const std::vector<SliceId> own = view.slices_of(host.name);
    std::erase_if(worker.slices,
                  [&](const auto& entry) { return std::find(own.begin(), own.end(), entry.first) == own.end(); });
  }

  /// Whoever is told that everybody has gone on without it begins anew.
  void after_client_message(const Host& host, const Message& message, Epoch,
                            const ClientCore::Effects& effects) override {
    const auto* refused = std::get_if<Refused>(&message.body);
    if (refused != nullptr && refused->reason == RefusalReason::version_gone && !effects.empty()) {
      workers_[life_of(host)].slices.clear();
    }
  }

  void on_gradient(const Host& host, Iteration iteration, SliceId id, const Floats& gradient) override {
    if (evidence_.job.compression.gradients != Encoding::top_k) {
      return;
    }
    Slice& slice = workers_[life_of(host)].slices[id];
    slice.iteration = iteration;
    slice.left.resize(gradient.size(), 0.0F);
    slice.sent.assign(gradient.size(), 0.0F);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      slice.left[i] += gradient[i];
    }
    const BlockTable& table = evidence_.reference.table();
    for (std::uint32_t b = 0; b < table.size(); ++b) {
      send_largest(slice, table[BlockId{b}].flat_offset, table[BlockId{b}].elements);
    }
  }

  void on_pushed(const Host& host, const Message& message) override {
    const auto* push = std::get_if<PushPull>(&message.body);
    if (push == nullptr || message.payload.empty() || evidence_.job.compression.gradients != Encoding::top_k) {
      return;
    }
    const BlockTable& table = evidence_.reference.table();
    const std::vector<BlockId> blocks = blocks_of(table, push->runs);
    std::vector<std::uint32_t> sizes;
    for (const BlockId block : blocks) {
      sizes.push_back(table[block].elements);
    }
    PayloadCoder coder(evidence_.job.compression.keep);
    const auto decoded = coder.decode(message.payload, push->format, sizes);
    const Slice& slice = workers_[life_of(host)].slices[push->slice];
    bool good = decoded.ok() && slice.iteration == push->iteration;
    const std::byte* from = good ? decoded->data() : nullptr;
    for (const BlockId block : blocks) {
      for (std::size_t i = 0; good && i < table[block].elements; ++i, from += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, from, sizeof value);
        good = value == slice.sent[table[block].flat_offset + i];
      }
    }
    if (!good) {
      violated("6 (what is left unsent counts once)",
               host.name + " sends something else of slice " + std::to_string(push->slice.value) + " in iteration " +
                   std::to_string(push->iteration.value) + " than the largest elements");
    }
  }

 private:
  using Life = std::tuple<HostIndex, std::uint32_t, Incarnation>;
  struct Slice {
    Iteration iteration;
    Floats left;
    Floats sent;
  };
  struct Worker {
    Epoch epoch;
    Epoch lineage;
    std::map<SliceId, Slice> slices;
  };

  static Life life_of(const Host& host) { return {host.index, host.life, host.incarnation}; }

  void send_largest(Slice& slice, std::size_t offset, std::size_t elements) const {
    std::vector<std::size_t> order(elements);
    std::iota(order.begin(), order.end(), offset);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return std::fabs(slice.left[a]) > std::fabs(slice.left[b]); });
    order.resize(kept_elements(elements, evidence_.job.compression.keep));
    for (const std::size_t i : order) {
      slice.sent[i] = std::exchange(slice.left[i], 0.0F);
    }
  }

  std::map<Life, Worker> workers_;
};

}  // namespace ringps::sim
