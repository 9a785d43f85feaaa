// A shard's payloads where they are compressed: gradients become float32 as soon as their message is accepted, weights
// something else just before they are sent. In between, and between servers, nothing knows of it.
#include <string>

#include "libps/core/shard.hpp"

namespace ringps {

/// The float32 values of a contribution to the blocks that have just been located; refused if they cannot be had. Only
/// the job's own format is taken: whoever rounds otherwise makes other weights.
std::optional<Payload> Shard::plain_values(const Route& from, const Message& message, PayloadFormat format,
                                           Effects& effects) {
  const Compression& rule = job_.compression;
  if (!rule.gradients_may_be(format)) {
    refuse(from, message.envelope.request, RefusalReason::malformed,
           "gradients in the encoding " + std::to_string(static_cast<unsigned>(format.encoding)) +
               (format.packed ? ", packed" : "") + ", and those of this job are in " +
               std::to_string(static_cast<unsigned>(rule.gradients)) + (rule.lz4 ? ", packed or not" : ""),
           effects);
    return std::nullopt;
  }
  if (format.is_plain()) {
    return message.payload;
  }
  sizes_.clear();
  for (const Local local : located_) {
    sizes_.push_back(table_[blocks_[local].id].elements);
  }
  auto decoded = coder_.decode(message.payload, format, sizes_);
  if (!decoded) {
    refuse(from, message.envelope.request, RefusalReason::malformed, decoded.error(), effects);
    return std::nullopt;
  }
  return std::move(*decoded);
}

/// Each element is encoded on its own, so it does not matter where blocks begin.
PayloadCoder::Encoded Shard::encoded(const Payload& values) {
  const std::span<const float> floats(reinterpret_cast<const float*>(values.data()), values.size() / sizeof(float));
  return coder_.encode(std::span(&floats, 1), job_.compression.weights, job_.compression.lz4);
}

/// Once for all workers that ask for the same blocks.
const PayloadCoder::Encoded& Shard::encoded(const Waiter& waiter) {
  if (encoded_.iteration != waiter.iteration || encoded_.runs != waiter.runs || encoded_.answer.payload.empty()) {
    encoded_.iteration = waiter.iteration;
    encoded_.runs = waiter.runs;
    encoded_.answer = encoded(gather(waiter));
  }
  return encoded_.answer;
}

}  // namespace ringps
