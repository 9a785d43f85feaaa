// The worker process: computes the gradients of its slices, and evaluates.
#pragma once

#include "libps/model/model.hpp"
#include "libps/role/role.hpp"

namespace ringps {

/// Trains until the run is over; comes back under a new incarnation whenever it was removed. Returns the exit code.
int train(const Job& job, Model& model, const RoleOptions& options);

}  // namespace ringps
