// Messages in words, for --trace.
#pragma once

#include <string>

#include "libps/wire/messages.hpp"

namespace ringps::sim {

/// "PushPull iteration 3 slice 1, epoch 2, request 17".
std::string describe(const Message& message);

/// "epoch 3 [server0 server2 | worker1] from iteration 5: server1 removed: …".
std::string describe(const View& view);

}  // namespace ringps::sim
