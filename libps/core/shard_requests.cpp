// What comes to a shard: which messages it takes, and the requests of workers.
#include "libps/core/shard.hpp"

#include <algorithm>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/base/row_hash.hpp"
#include "libps/core/assignment.hpp"
#include "libps/core/bounds.hpp"
#include "libps/optim/initialise.hpp"
#include "libps/optim/reduce.hpp"
#include "libps/ring/view.hpp"

namespace ringps {
namespace {

bool is_worker_of(const View& view, const Envelope& envelope) {
  const auto index = view.worker_index(envelope.sender);
  return index && view.workers[*index].incarnation == envelope.incarnation;
}

bool is_server_of(const View& view, const Envelope& envelope) {
  const auto index = view.server_index(envelope.sender);
  return index && view.servers[*index].incarnation == envelope.incarnation;
}

}  // namespace

// ---- messages -------------------------------------------------------------------------------------------------------

void Shard::on_message(Time now, const Route& from, const Message& message, Effects& effects) {
  now_ = now;
  dispatch(from, message, effects);
  flush(effects);
}

void Shard::dispatch(const Route& from, const Message& message, Effects& effects) {
  const Envelope& envelope = message.envelope;
  const bool from_server = envelope.role == Role::server;
  if (envelope.cluster != job_.cluster || (envelope.role != Role::worker && !from_server)) {
    refuse(from, envelope.request, RefusalReason::unknown_sender,
           "this is a server of the cluster '" + job_.cluster +
               "'; it speaks with that cluster's workers and servers only",
           effects);
    return;
  }
  if (from_server && std::holds_alternative<Stale>(message.body)) {  // an answer: ours was of an old epoch
    if (envelope.epoch > view_.epoch) {
      effects.push_back(FetchView{});
    }
    return;
  }
  // The one place where epochs are compared.
  if (envelope.epoch < view_.epoch) {
    ++counters_.stale;
    reply(from, envelope.request, Stale{view_}, {}, effects);
    return;
  }
  if (envelope.epoch > view_.epoch) {
    effects.push_back(FetchView{});
    park(from, message);
    return;
  }
  if (from_server ? !is_server_of(view_, envelope) : !is_worker_of(view_, envelope)) {
    refuse(from, envelope.request, RefusalReason::unknown_sender,
           "'" + envelope.sender + "' in this incarnation is not a member of view " + std::to_string(view_.epoch.value),
           effects);
    return;
  }
  if (!restored_) {
    park(from, message);
    return;
  }
  if (from_server) {
    if (!on_server_message(message, effects)) {
      ++counters_.refused;
    }
  } else if (const auto* push_pull = std::get_if<PushPull>(&message.body)) {
    on_contribution(from, message, *push_pull, true, effects);
  } else if (const auto* push = std::get_if<Push>(&message.body)) {
    on_contribution(from, message, *push, false, effects);
  } else if (const auto* pull = std::get_if<Pull>(&message.body)) {
    on_pull(from, message, *pull, effects);
  } else if (const auto* push_rows = std::get_if<PushRows>(&message.body)) {
    on_contribution(from, message, *push_rows, false, effects);
  } else if (const auto* pull_rows = std::get_if<PullRows>(&message.body)) {
    on_pull_rows(from, message, *pull_rows, effects);
  } else if (const auto* ask_missing = std::get_if<AskMissing>(&message.body)) {
    on_ask_missing(from, message, *ask_missing, effects);
  } else {
    refuse(from, envelope.request, RefusalReason::malformed,
           "a worker may send Push, PushPull, Pull, PushRows, PullRows and AskMissing", effects);
  }
}

void Shard::park(const Route& from, Message message) {
  parked_bytes_ += message.payload.size();
  parked_.push_back({from, std::move(message)});
  // The oldest go first: whoever sent them asks again, and a view that never comes must not fill the memory.
  while (parked_.size() > bounds::parked_messages_max || parked_bytes_ > bounds::parked_bytes_max) {
    parked_bytes_ -= parked_.front().message.payload.size();
    parked_.pop_front();
  }
}

void Shard::unpark(Effects& effects) {
  std::deque<Parked> parked = std::exchange(parked_, {});
  parked_bytes_ = 0;
  for (const Parked& each : parked) {
    dispatch(each.from, each.message, effects);
  }
}

bool Shard::locate(const std::vector<BlockRun>& runs, Wanted wanted, std::vector<Local>& blocks, const Route& from,
                   const Message& message, Effects& effects) {
  blocks.clear();
  for (const BlockRun& run : runs) {
    const auto first = table_.find(run);
    if (!first || (wanted != Wanted::both && table_.is_rows(*first) != (wanted == Wanted::tables))) {
      refuse(from, message.envelope.request, RefusalReason::malformed,
             "blocks " + std::to_string(run.first) + " + " + std::to_string(run.count) + " of tensor " +
                 std::to_string(run.tensor) + " are not in the model, or not of the kind that the request is for",
             effects);
      return false;
    }
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const BlockId id{first->value + i};
      const Local local = local_of_[id.value];
      if (local == none || !mine(blocks_[local]) || blocks.size() == owned_.size()) {
        refuse(from, message.envelope.request, RefusalReason::not_primary,
               "'" + id_.value + "' is not the primary of block " + table_.name(id) + " in epoch " +
                   std::to_string(view_.epoch.value) + ", or the request names it twice",
               effects);
        return false;
      }
      blocks.push_back(local);
    }
  }
  if (blocks.empty()) {
    refuse(from, message.envelope.request, RefusalReason::malformed, "a request without blocks", effects);
    return false;
  }
  return true;
}

/// Finds each block's part of a payload and writes its beginning to parts_; false if the payload is not made of parts
/// of exactly these blocks.
bool Shard::cut(const Payload& payload, Parts parts, const std::vector<Local>& blocks) {
  parts_.clear();
  std::span<const std::byte> rest = payload.bytes();
  for (const Local local : blocks) {
    const BlockId id = blocks_[local].id;
    parts_.push_back(rest.data());
    std::size_t bytes = std::size_t{table_[id].elements} * sizeof(float);
    if (table_.is_rows(id)) {
      const TableSpec& table = table_.tables()[table_.table_of(id)];
      const auto list = RowList::parse(rest, parts == Parts::values ? table.width : 0);
      for (std::size_t i = 0; list && i < list->count(); ++i) {
        if (row_bucket(list->id(i), table.buckets) != table_[id].index) {
          return false;
        }
      }
      bytes = list ? list->bytes() : rest.size() + 1;
    }
    if (bytes > rest.size()) {
      return false;
    }
    rest = rest.subspan(bytes);
  }
  return rest.empty();
}

template <class Request>
void Shard::on_contribution(const Route& from, const Message& message, const Request& request, bool want_values,
                            Effects& effects) {
  constexpr Wanted wanted = std::is_same_v<Request, PushRows> ? Wanted::tables : Wanted::tensors;
  if (!locate(request.runs, wanted, located_, from, message, effects)) {
    return;
  }
  const bool asks_again = message.payload.empty();
  std::optional<Payload> decoded;  // behind here everything is float32
  if constexpr (wanted == Wanted::tensors) {
    if (!asks_again && (job_.compression.of_gradients() || !request.format.is_plain())) {
      decoded = plain_values(from, message, request.format, effects);
      if (!decoded) {
        return;
      }
    }
  }
  const Payload& payload = decoded ? *decoded : message.payload;
  const RequestId id = message.envelope.request;
  if (!asks_again && !cut(payload, Parts::values, located_)) {
    refuse(from, id, RefusalReason::malformed,
           "a payload of " + std::to_string(payload.size()) + " bytes is not one of these " +
               std::to_string(located_.size()) + " blocks",
           effects);
    return;
  }
  if (request.slice.value >= job_.slices || slot_of_slice_[request.slice.value] == none) {
    refuse(from, id, RefusalReason::malformed,
           "slice " + std::to_string(request.slice.value) + " does not contribute to '" + id_.value + "'", effects);
    return;
  }
  const bool ahead = std::any_of(located_.begin(), located_.end(), [&](Local local) {
    return is_ahead(blocks_[local], request.slice, request.iteration);
  });
  if (ahead || request.iteration.value > job_.iterations.value) {
    refuse(from, id, RefusalReason::version_gone,
           "a contribution to iteration " + std::to_string(request.iteration.value) + ", which is too far ahead",
           effects);
    return;
  }
  const std::uint32_t slot = slot_of_slice_[request.slice.value];
  if (asks_again) {
    if (!have_contribution(located_, slot, request.iteration)) {
      reply(from, id, Missing{request.iteration, {request.slice}}, {}, effects);
      return;
    }
  } else {
    if constexpr (wanted == Wanted::tables) {
      if (!rows_are_finite(from, message, request, located_, effects)) {
        return;
      }
    }
    not_finite_ = {};
    // Applying may answer others, who have their own lists: these stay as they are.
    count(located_, parts_, slot, payload, request.iteration, effects);
    if (not_finite_.slot == slot) {
      refuse(from, id, RefusalReason::not_finite, std::move(not_finite_.text), effects);
      return;
    }
  }
  Waiter waiter = waiter_of(from, message.envelope, request.iteration, request.runs);
  waiter.want_values = want_values;
  waiter.slot = slot;
  wait(std::move(waiter), effects);
}

/// Whether all of the blocks have counted it, for the next version or for one that they have passed.
bool Shard::have_contribution(const std::vector<Local>& blocks, std::uint32_t slot, Iteration iteration) const {
  return std::all_of(blocks.begin(), blocks.end(), [&](Local local) {
    return !is_next(local, slot, iteration) || contributions_[local * slices_.size() + slot].values != nullptr;
  });
}

std::string Shard::not_finite_text(Iteration iteration, SliceId slice, const std::string& where) {
  return "iteration " + std::to_string(iteration.value) + ", slice " + std::to_string(slice.value) + ", " + where +
         " of the gradient is NaN or infinite; a smaller learning rate or cleaner data may help";
}

/// Rows are looked at before they are counted: what is applied to some rows of a block cannot be taken back.
bool Shard::rows_are_finite(const Route& from, const Message& message, const PushRows& push,
                            const std::vector<Local>& blocks, Effects& effects) {
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const TableSpec& table = table_.tables()[table_.table_of(blocks_[blocks[b]].id)];
    const RowList list(parts_[b], table.width);
    const std::size_t floats = list.count() * table.width;
    if (const std::size_t bad = first_not_finite(list.values(), floats); bad != floats) {
      refuse(from, message.envelope.request, RefusalReason::not_finite,
             not_finite_text(push.iteration, push.slice,
                             "table '" + table.name + "': element " + std::to_string(bad % table.width) + " of row " +
                                 std::to_string(list.id(bad / table.width))),
             effects);
      return false;
    }
  }
  return true;
}

void Shard::count(const std::vector<Local>& blocks, const std::vector<const std::byte*>& parts, std::uint32_t slot,
                  const Payload& payload, Iteration iteration, Effects& effects) {
  // The payload is kept until the last block that needs it has been reduced.
  std::uint32_t index = static_cast<std::uint32_t>(kept_.size());
  if (kept_free_.empty()) {
    kept_.emplace_back();
  } else {
    index = kept_free_.back();
    kept_free_.pop_back();
  }
  kept_[index] = {payload, 1};  // 1: this function
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const Local local = blocks[b];
    Block& block = blocks_[local];
    Contribution& contribution = contributions_[local * slices_.size() + slot];
    if (!is_next(local, slot, iteration) || contribution.values != nullptr) {
      ++counters_.duplicates;
    } else {
      contribution = {parts[b], index};
      ++kept_[index].uses;
      ++block.contributed;
      if (complete(block)) {
        apply_block(local, effects);
      }
    }
  }
  Contribution own{payload.data(), index};
  let_go(own);
}

void Shard::let_go(Contribution& contribution) {
  if (contribution.values == nullptr) {
    return;
  }
  Kept& kept = kept_[contribution.message];
  if (--kept.uses == 0) {
    kept.payload = {};
    kept_free_.push_back(contribution.message);
  }
  contribution = {};
}

void Shard::on_ask_missing(const Route& from, const Message& message, const AskMissing& ask, Effects& effects) {
  std::vector<bool> lacks(slices_.size(), false);
  for (const Local local : owned_) {
    for (std::size_t slot = 0; blocks_[local].version.next() == ask.iteration && slot < slices_.size(); ++slot) {
      lacks[slot] = lacks[slot] || contributions_[local * slices_.size() + slot].values == nullptr;
    }
  }
  Missing missing{ask.iteration, {}};
  for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
    if (lacks[slot]) {
      missing.slices.push_back(slices_[slot]);
    }
  }
  reply(from, message.envelope.request, std::move(missing), {}, effects);
}

/// What a pull of the blocks that have just been located waits for; nothing if it is refused, or has to come again when
/// it is known what is committed.
std::optional<Iteration> Shard::wanted_version(const Route& from, const Message& message, Iteration named,
                                               Effects& effects) {
  Iteration wanted = named;
  if (wanted == newest_version) {
    const auto unsure = [&](Local local) {  // its replicas have not said yet what they have
      const auto& replicas = blocks_[local].replicas;
      return std::any_of(replicas.begin(), replicas.end(), [](const Replica& r) { return r.holder && r.gates(); });
    };
    if (std::any_of(located_.begin(), located_.end(), unsure)) {
      park(from, message);
      return std::nullopt;
    }
    for (const Local local : located_) {
      wanted = job_.asynchronous() ? Iteration{} : std::min(wanted, committed_version(blocks_[local]));
    }
  }
  if (wanted.value > job_.iterations.value) {
    refuse(from, message.envelope.request, RefusalReason::version_gone,
           "version " + std::to_string(wanted.value) + " is beyond the last iteration", effects);
    return std::nullopt;
  }
  return wanted;
}

void Shard::on_pull(const Route& from, const Message& message, const Pull& pull, Effects& effects) {
  if (!locate(pull.runs, pull.want_values ? Wanted::tensors : Wanted::both, located_, from, message, effects)) {
    return;
  }
  const auto wanted = wanted_version(from, message, pull.iteration, effects);
  if (!wanted) {
    return;
  }
  Waiter waiter = waiter_of(from, message.envelope, *wanted, pull.runs);
  waiter.want_values = pull.want_values;
  waiter.follow = pull.follow && !job_.asynchronous();
  wait(std::move(waiter), effects);
}

void Shard::on_pull_rows(const Route& from, const Message& message, const PullRows& pull, Effects& effects) {
  if (!locate(pull.runs, Wanted::tables, located_, from, message, effects)) {
    return;
  }
  if (!cut(message.payload, Parts::ids, located_)) {
    refuse(from, message.envelope.request, RefusalReason::malformed,
           "a payload of " + std::to_string(message.payload.size()) + " bytes is not one of ids of these " +
               std::to_string(located_.size()) + " blocks",
           effects);
    return;
  }
  if (pull.slice.value >= job_.slices || slot_of_slice_[pull.slice.value] == none) {
    refuse(from, message.envelope.request, RefusalReason::malformed,
           "slice " + std::to_string(pull.slice.value) + " does not contribute to '" + id_.value + "'", effects);
    return;
  }
  const auto wanted = wanted_version(from, message, pull.iteration, effects);
  if (!wanted) {
    return;
  }
  Waiter waiter = waiter_of(from, message.envelope, *wanted, pull.runs);
  waiter.ids = message.payload;
  waiter.slot = pull.iteration == newest_version ? none : slot_of_slice_[pull.slice.value];
  wait(std::move(waiter), effects);
}

}  // namespace ringps
