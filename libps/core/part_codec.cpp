#include "libps/core/part_codec.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ringps {

PartCodec::PartCodec(const Compression& compression, const BlockTable& table)
    : compression_(compression), table_(table), coder_(compression.keep) {}

PayloadCoder::Encoded PartCodec::gradient(const ServerPart& part, const std::shared_ptr<const Floats>& flat) {
  if (compression_.of_gradients()) {
    blocks_.clear();
    for (const BlockId block : part.blocks) {
      const auto& at = table_[block];
      blocks_.push_back(std::span<const float>(*flat).subspan(at.flat_offset, at.elements));
    }
    return coder_.encode(blocks_, compression_.gradients, compression_.lz4);
  }
  if (part.spans.size() == 1) {
    return {Payload(flat, std::as_bytes(std::span(*flat).subspan(part.spans.front().offset, part.elements))), {}};
  }
  Buffer together = gathered_.take(part.elements);
  float* to = together.data();
  for (const auto& span : part.spans) {
    to = std::copy_n(flat->data() + span.offset, span.elements, to);
  }
  gathered_.give_back(together);
  return {Payload::of(std::move(together), part.elements), {}};
}

std::optional<Payload> PartCodec::values(const ServerPart& part, PayloadFormat format, const Payload& payload) {
  const std::size_t bytes = part.elements * sizeof(float);
  if (!compression_.weights_may_be(format)) {
    return std::nullopt;
  }
  std::optional<Payload> values;
  if (!format.is_plain()) {
    const auto elements = static_cast<std::uint32_t>(part.elements);
    if (auto decoded = coder_.decode(payload, format, std::span(&elements, 1))) {
      values = std::move(*decoded);
    }
  } else if (payload.size() == bytes) {
    values = payload;
  }
  if (values) {
    traffic_.weights += payload.size();
    traffic_.weights_float32 += bytes;
  }
  return values;
}

void PartCodec::keep_largest(const Floats& gradient, Floats& residual, Floats& kept) const {
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const auto& at = table_[BlockId{b}];
    if (at.elements == 0) {  // of a table
      continue;
    }
    const auto cut = [&](auto& flat) { return std::span(flat).subspan(at.flat_offset, at.elements); };
    ringps::keep_largest(cut(gradient), cut(residual), kept_elements(at.elements, compression_.keep), cut(kept));
  }
}

void PartCodec::count_rows(std::size_t bytes) {
  traffic_.weights += bytes;
  traffic_.weights_float32 += bytes;
}

void PartCodec::count_gradient(const ServerPart& part, std::size_t bytes) {
  traffic_.gradients += bytes;
  traffic_.gradients_float32 += part.rows ? bytes : part.elements * sizeof(float);
}

}  // namespace ringps
