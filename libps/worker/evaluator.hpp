// Accuracy and loss on the test set, on a thread of its own and at low priority: training never waits for it.
//
// Every worker keeps the weights of each due version until the coordinator has its result; which of them computes it is
// a pure function of the view. So when one dies, the others compute what it owed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "libps/core/client.hpp"
#include "libps/core/job.hpp"
#include "libps/model/model.hpp"
#include "libps/net/mailbox.hpp"

namespace ringps {

class Evaluator {
 public:
  struct Done {
    Epoch restore_epoch;
    EvaluationReport report;
  };

  /// `model` outlives it. Evaluates on the first `samples` of its test samples, 0: all.
  Evaluator(const JobSpec& job, std::string worker, const Model& model, std::size_t samples);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  void on_view(const View& view);
  void on_weights(const Weights& weights);
  void on_heard(const HeartbeatAnswer& answer);
  std::vector<Done> take_done() { return done_.take_all(); }

 private:
  struct Kept {
    Weights weights;
    bool started = false;
  };
  struct Quit {};
  using Order = std::variant<Weights, Quit>;

  bool is_mine(Iteration version) const;
  void start_mine();
  void run(const Model& model, std::size_t samples);

  const JobSpec& job_;
  const std::string worker_;
  const std::size_t kept_max_;  ///< versions; beyond them the oldest are not evaluated, and the log says so

  std::uint32_t position_ = 0;    ///< of this worker among those that compute slices
  std::uint32_t evaluators_ = 0;  ///< how many they are; 0: this worker is none of them
  Epoch restore_epoch_;
  std::deque<Kept> kept_;
  Mailbox<Order> orders_;
  Mailbox<Done> done_;
  std::thread thread_;  ///< last: it uses all the others
};

}  // namespace ringps
