#include "tests/sim/checkers/bits.hpp"
#include "tests/sim/checkers/bounds.hpp"
#include "tests/sim/checkers/checkpoints.hpp"
#include "tests/sim/checkers/contributions.hpp"
#include "tests/sim/checkers/end.hpp"
#include "tests/sim/checkers/memory.hpp"
#include "tests/sim/checkers/replicas.hpp"
#include "tests/sim/checkers/samples.hpp"
#include "tests/sim/checkers/versions.hpp"
#include "tests/sim/checkers/views.hpp"

namespace ringps::sim {

std::vector<std::unique_ptr<Checker>> make_checkers(const Evidence& evidence) {
  std::vector<std::unique_ptr<Checker>> checkers;
  checkers.push_back(std::make_unique<ViewsAreJournaled>(evidence));
  checkers.push_back(std::make_unique<OnePrimary>(evidence));
  checkers.push_back(std::make_unique<ReplicasAreDistinct>(evidence));
  checkers.push_back(std::make_unique<NothingIsGivenUp>(evidence));
  checkers.push_back(std::make_unique<AcknowledgedIsReplicated>(evidence));
  checkers.push_back(std::make_unique<SameBits>(evidence));
  checkers.push_back(std::make_unique<AllSlicesOnce>(evidence));
  checkers.push_back(std::make_unique<VersionsGrow>(evidence));
  checkers.push_back(std::make_unique<ExactVersion>(evidence));
  checkers.push_back(std::make_unique<OldEpochsChangeNothing>(evidence));
  checkers.push_back(std::make_unique<CheckpointsAreWhole>(evidence));
  checkers.push_back(std::make_unique<NobodyPassesACheckpoint>(evidence));
  checkers.push_back(std::make_unique<NothingToldIsForgotten>(evidence));
  checkers.push_back(std::make_unique<NothingPilesUp>(evidence));
  checkers.push_back(std::make_unique<RunEndsWell>(evidence));
  return checkers;
}

}  // namespace ringps::sim
