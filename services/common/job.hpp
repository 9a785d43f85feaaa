// From the configuration to the model and the data of a run.
#pragma once

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/data/dataset.hpp"
#include "libps/data/schedule.hpp"
#include "libps/model/model.hpp"

namespace ringps {

ModelSpec model_spec(const Config& config);

/// Reads or draws the data set, cut to the sizes that the configuration asks for.
Result<Dataset> load_dataset(const Config& config);

ScheduleSpec schedule_spec(const Config& config, const Dataset& dataset);

}  // namespace ringps
