// Evaluates a model with tables while it trains, from the checkpoints that the run writes: on a thread of its own and
// at low priority, so that training never waits for it. Where it is slower than checkpoints come, it skips some.
#pragma once

#include <filesystem>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "libps/config/config.hpp"
#include "libps/net/mailbox.hpp"
#include "libps/wire/messages.hpp"
#include "services/psctl/final_evaluation.hpp"
#include "services/psctl/metrics.hpp"

namespace ringps {

class SidecarEvaluator {
 public:
  /// TableScorer::knows(config). `checkpoints`: the folder that has them all.
  SidecarEvaluator(const Config& config, std::filesystem::path checkpoints);
  /// Waits for the evaluation that is under way.
  ~SidecarEvaluator();
  SidecarEvaluator(const SidecarEvaluator&) = delete;
  SidecarEvaluator& operator=(const SidecarEvaluator&) = delete;

  /// Takes the newest checkpoint, if there is a new one that is due. Returns what there is to tell a person.
  std::vector<std::string> on_status(const Status& status);

  /// After the run: also evaluates the checkpoint of the last iteration, if it was written. All, as they were found.
  std::vector<MeasuredEvaluation> finish();

 private:
  struct Order {
    std::uint64_t restore_epoch;
    std::uint64_t iteration;
  };
  struct Quit {};
  using Found = std::variant<MeasuredEvaluation, std::string>;  ///< a string: why not

  void run();
  Found evaluate(const TableScorer& scorer, const Order& order) const;
  std::vector<std::string> take_found();

  const Config config_;
  const std::filesystem::path checkpoints_;
  Order last_{0, 0};  ///< taken
  std::uint64_t restore_epoch_ = 0;
  std::vector<MeasuredEvaluation> evaluations_;
  Mailbox<std::variant<Order, Quit>> orders_;
  Mailbox<Found> found_;
  std::thread thread_;  ///< last: it uses all the others
};

/// "log-loss 0.4321, accuracy 81.20 %", or of ratings "error 0.0601".
std::string score_text(const MeasuredEvaluation& score);

}  // namespace ringps
