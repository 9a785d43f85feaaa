// The public C++ API of a worker: takes part in a run, computes gradients, knows nothing of sockets, views or failures.
//
//   ringps::Client client(job, {.coordinator = "tcp://host:7070", .id = {"worker0"}, .job_digest = digest});
//   while (auto task = client.next()) {
//     auto gradient = std::make_shared<ringps::Floats>(task->weights->size());
//     … fill it with the gradient of the loss over task->slice's samples of task->iteration, at task->weights …
//     client.contribute(*task, std::move(gradient));
//   }
//
// A gradient has to be a pure function of the task: then whatever fails, the weights of a synchronous run end with the
// same bits.
//
// With tables, Hooks::choose_rows says which rows a slice needs, and task->rows has their values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libps/core/client.hpp"
#include "libps/core/member.hpp"

namespace ringps {

/// Not thread-safe. `next` does the work of the connection: call it as soon as a gradient is handed in.
class Client {
 public:
  struct Options {
    std::string coordinator;  ///< endpoint of the coordinator's control socket
    WorkerId id;              ///< unique in the cluster, ends in a number
    std::string job_digest;   ///< has to be the coordinator's
  };
  /// What else there is to know; all are optional and run inside `next`.
  struct Hooks {
    std::function<void(const View&)> on_view;
    /// Every block is committed at weights.version. `values` is null where they were not due (train.refresh_interval).
    std::function<void(const Weights&)> on_weights;
    std::function<void(const HeartbeatAnswer&)> on_heard;
    std::function<void(Time)> on_turn;  ///< many times a second
    /// With tables, and then required: the ids of the rows of each that the slice's gradient is computed from, in any
    /// order and any number of times. A pure function. Called before the iteration begins.
    std::function<std::vector<std::vector<std::uint64_t>>(Iteration, SliceId)> choose_rows;
  };
  using Task = ClientCore::Task;

  /// Starts to join at once.
  Client(JobSpec job, const Options& options, Hooks hooks = {});
  /// Leaves in good order.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The next slice to compute. Blocks until there is one; nothing when this worker's part in the run has ended, or
  /// when SIGINT or SIGTERM has come (see ended()).
  std::optional<Task> next();

  /// Hands in a task's gradient: the flat vector of libps/base/tensor.hpp, and with tables that of the rows, as
  /// RowBatch::offsets() says where. Never blocks.
  void contribute(const Task& task, std::shared_ptr<const Floats> gradient,
                  std::shared_ptr<const Floats> row_gradient = nullptr);

  /// Of this life, in asynchronous modes: how many gradients were computed from weights that lacked 0, 1, 2 …
  /// iterations of some slice.
  std::vector<std::uint64_t> staleness() const;
  /// Of this life: what the gradients that were sent and the weights that came took.
  const Traffic& traffic() const;

  /// Sends a report to the coordinator, once.
  void report(Progress progress);
  /// Ends the run with an error that no retry can mend.
  void fail(const std::string& text);

  /// How it ended; nothing while it goes on.
  const std::optional<Ended>& ended() const;

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace ringps
