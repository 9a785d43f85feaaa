// The control side of a server or a worker: joins, sends heartbeats, learns of views and checkpoints, tells the
// coordinator what must not get lost. Pure. Not thread-safe; owned by one loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/core/job.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// How a member's part in a run came to its end.
struct Ended {
  RunState state = RunState::completed;
  enum class Why : std::uint8_t {
    run_over,     ///< the coordinator said so
    removed,      ///< a view without this incarnation: drop everything; another incarnation may join
    retired,      ///< it was drained: its part is done
    refused,      ///< the coordinator will not have it: `text` says why
    unreachable,  ///< no coordinator
  } why = Why::run_over;
  std::string text;
};

class Member {
 public:
  struct Identity {
    Role role = Role::server;
    std::string id;
    Incarnation incarnation;
    std::string endpoint;  ///< servers only
    std::string job_digest;
    std::uint64_t pid = 0;
  };

  struct Send {  ///< to the coordinator's ROUTER
    Message message;
  };
  struct Adopt {  ///< a view newer than any before
    View view;
  };
  struct Heard {  ///< what the coordinator says of checkpoints and reports; a 0 says nothing, numbers may repeat
    HeartbeatAnswer answer;
  };
  struct Subscribe {  ///< to the coordinator's PUB socket; may repeat
    std::string endpoint;
  };
  using Effect = std::variant<Send, Subscribe, Adopt, Heard, Ended>;
  using Effects = std::vector<Effect>;

  /// What the data side is doing, for the heartbeats.
  struct Activity {
    std::uint64_t turns = 0;
    Iteration iteration;
    Epoch restore_epoch;  ///< the lineage of that version
    std::string waiting_for;
    std::uint64_t refused = 0;
  };

  Member(const JobSpec& job, Identity identity);

  void on_start(Time now, Effects& effects);
  void on_message(Time now, const Message& message, Effects& effects);  ///< from the coordinator's ROUTER or PUB
  void on_tick(Time now, const Activity& activity, Effects& effects);
  Time next_deadline() const;

  /// Sends `body` until the coordinator has acknowledged it.
  void tell(Time now, Body body, Effects& effects);
  /// Sends `body` once.
  void send(Body body, Effects& effects);
  /// Whether everything that was told has been acknowledged.
  bool all_told() const { return untold_.empty(); }

  Epoch epoch() const { return view_epoch_; }

 private:
  struct Untold {
    RequestId request;
    Body body;
    Time deadline;
  };

  Message make(Body body, RequestId request) const;
  void adopt(const View& view, Effects& effects);
  void on_answer(const Message& message, const HeartbeatAnswer& answer, Effects& effects);
  void on_refused(const Refused& refused, Time now, Effects& effects);
  void join(Time now, Effects& effects);
  void beat(Time now, Effects& effects);
  void end(Ended ended, Effects& effects);

  const JobSpec& job_;
  const Identity identity_;

  bool joined_ = false;      ///< the coordinator has answered Join
  bool was_member_ = false;  ///< some view named this incarnation
  bool ended_ = false;
  Epoch view_epoch_;
  std::size_t members_ = 0;  ///< of that view
  Activity activity_;
  RequestId last_request_;
  Time next_beat_ = time_never;  ///< or the next attempt to join
  Time last_heard_;              ///< anything from the coordinator
  std::deque<Untold> untold_;
};

}  // namespace ringps
