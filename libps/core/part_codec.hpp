// What the parts of a worker's messages go through on their way: gradients are cut out of the flat vector and
// compressed, answers are made float32 again, and both are counted. Pure. Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/buffer_pool.hpp"
#include "libps/core/parts.hpp"
#include "libps/wire/compression.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

class PartCodec {
 public:
  /// Both have to outlive it.
  PartCodec(const Compression& compression, const BlockTable& table);
  PartCodec(const PartCodec&) = delete;
  PartCodec& operator=(const PartCodec&) = delete;

  /// A part of a flat gradient, in the job's format. A plain one that lies together is not copied. A function of its
  /// arguments alone: whoever sends it again, in parts of the same or of another cut, sends each block's same bits.
  PayloadCoder::Encoded gradient(const ServerPart& part, const std::shared_ptr<const Floats>& flat);

  /// The float32 values of an answer; nothing if it is not what the part has to be.
  std::optional<Payload> values(const ServerPart& part, PayloadFormat format, const Payload& payload);

  /// With top_k: what is sent of a slice's gradient, as a flat vector with zeros in between; the rest stays in
  /// `residual`. Once for each gradient.
  void keep_largest(const Floats& gradient, Floats& residual, Floats& kept) const;

  void count_gradient(const ServerPart& part, std::size_t bytes);
  void count_rows(std::size_t bytes);  ///< that have come; rows are never compressed
  void count_lost_residual() { ++traffic_.residuals_lost; }
  const Traffic& traffic() const { return traffic_; }

 private:
  const Compression& compression_;
  const BlockTable& table_;
  PayloadCoder coder_;
  BufferPool gathered_;  ///< parts of gradients, to be written again once they have been sent
  std::vector<std::span<const float>> blocks_;
  Traffic traffic_;
};

}  // namespace ringps
