#include "tests/sim/checkers/asynchronous.hpp"
#include "tests/sim/checkers/bits.hpp"
#include "tests/sim/checkers/bounds.hpp"
#include "tests/sim/checkers/checkpoints.hpp"
#include "tests/sim/checkers/contributions.hpp"
#include "tests/sim/checkers/end.hpp"
#include "tests/sim/checkers/feedback.hpp"
#include "tests/sim/checkers/grace.hpp"
#include "tests/sim/checkers/memory.hpp"
#include "tests/sim/checkers/replicas.hpp"
#include "tests/sim/checkers/samples.hpp"
#include "tests/sim/checkers/versions.hpp"
#include "tests/sim/checkers/views.hpp"

namespace ringps::sim {

namespace {

template <class... Each>
std::vector<std::unique_ptr<Checker>> one_of_each(const Evidence& evidence) {
  std::vector<std::unique_ptr<Checker>> checkers;
  (checkers.push_back(std::make_unique<Each>(evidence)), ...);
  return checkers;
}

}  // namespace

/// Of two promises that are broken in one step the first is named: so what tells the cause comes before what shows only
/// in the bits. The numbers are those of section 9 of the design.
std::vector<std::unique_ptr<Checker>> make_checkers(const Evidence& evidence) {
  if (evidence.job.asynchronous()) {
    return one_of_each<ViewsAreJournaled,       // 1
                       OnePrimary,              // 2
                       ReplicasAreDistinct,     // 3
                       NothingIsGivenUp,        // 4
                       ErrorFeedback,           // 6
                       ExactlyOnce,             // 6
                       SameSteps,               // 5
                       ToldIsReplicated,        // 4
                       WithinTheBound,          // 7
                       OldEpochsChangeNothing,  // 8
                       CheckpointsAreWhole,     // 9
                       NothingToldIsForgotten,  // 10
                       EachSampleOnce,          // 11
                       NothingPilesUp,          // 12
                       NobodyIsRemovedEarly,    // section 6
                       EndsWithAll              // 13
                       >(evidence);
  }
  return one_of_each<ViewsAreJournaled,         // 1
                     OnePrimary,                // 2
                     ReplicasAreDistinct,       // 3
                     AcknowledgedIsReplicated,  // 4
                     NothingIsGivenUp,          // 4
                     AllSlicesOnce,             // 6
                     SameBits,                  // 5
                     VersionsGrow,              // 7
                     ExactVersion,              // 7
                     OldEpochsChangeNothing,    // 8
                     CheckpointsAreWhole,       // 9
                     NobodyPassesACheckpoint,   // 9
                     NothingToldIsForgotten,    // 10
                     EachSampleOnce,            // 11
                     NothingPilesUp,            // 12
                     NobodyIsRemovedEarly,      // section 6
                     RunEndsWell                // 13
                     >(evidence);
}

}  // namespace ringps::sim
