// What workers have asked servers for: an answer is judged by the request that it answers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <variant>
#include <vector>

#include "libps/wire/messages.hpp"
#include "tests/sim/host.hpp"

namespace ringps::sim {

class Requests {
 public:
  struct Request {
    Iteration iteration;
    std::vector<BlockRun> runs;
    bool follow = false;             ///< every version from `iteration` on is asked for
    std::optional<SliceId> slice{};  ///< whose contribution it brings, or waits for
    Payload ids{};                   ///< of the rows that are asked for
  };

  /// A message has come to a server's process by the connection `from`.
  void note(const Host& server, const Route& from, const Message& message) {
    std::visit(
        [&]<class T>(const T& body) {
          if constexpr (std::is_same_v<T, Push> || std::is_same_v<T, PushPull> || std::is_same_v<T, Pull> ||
                        std::is_same_v<T, PushRows> || std::is_same_v<T, PullRows>) {
            Request& request = requests_[{server.index, server.life, from, message.envelope.request}];
            const Iteration before = request.follow ? request.iteration : body.iteration;
            request = {body.iteration, body.runs};
            if constexpr (requires { body.slice; }) {
              request.slice = body.iteration == newest_version ? std::nullopt : std::optional(body.slice);
            }
            if constexpr (std::is_same_v<T, PullRows>) {
              request.ids = message.payload;
            }
            if constexpr (std::is_same_v<T, Pull>) {
              request.follow = body.follow;
              request.iteration = body.follow ? std::min(before, body.iteration) : body.iteration;
            }
          }
        },
        message.body);
  }

  /// What that process was asked by that connection under that number; null: nothing.
  const Request* find(const Host& server, const Route& by, RequestId id) const {
    const auto at = requests_.find({server.index, server.life, by, id});
    return at == requests_.end() ? nullptr : &at->second;
  }

 private:
  std::map<std::tuple<HostIndex, std::uint32_t, Route, RequestId>, Request> requests_;
};

/// The blocks of `runs`, in their order; those that are not in the model are left out.
inline std::vector<BlockId> blocks_of(const BlockTable& table, const std::vector<BlockRun>& runs) {
  std::vector<BlockId> blocks;
  for (const BlockRun& run : runs) {
    const auto first = table.find(run);
    for (std::uint32_t i = 0; first && i < run.count; ++i) {
      blocks.push_back(BlockId{first->value + i});
    }
  }
  return blocks;
}

}  // namespace ringps::sim
