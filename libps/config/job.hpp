// From the configuration to what the cores and the data set need.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/core/job.hpp"
#include "libps/data/libsvm.hpp"
#include "libps/data/sample_source.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// An image model of a loaded configuration.
ModelSpec model_spec(const Config& config);

/// The tensors of a loaded configuration's model; an error if it is one of libsvm data and data.features is not known.
Result<std::vector<TensorSpec>> model_tensors(const Config& config);

/// Its tables.
std::vector<TableSpec> model_tables(const Config& config);

/// Where clicks and ratings of a loaded configuration are drawn from.
ClickSpec click_spec(const Config& config);
RatingSpec rating_spec(const Config& config);

/// The job of a loaded configuration, for a model with these tensors.
JobSpec make_job(const Config& config, std::vector<TensorSpec> tensors);

/// The value of an environment variable, or nullptr. `std::getenv` is one.
using Environment = std::function<const char*(const char* name)>;

/// The folder that holds MNIST: `data.path` if given, else $RINGPS_DATA/mnist or ~/.cache/ringps/mnist, whichever has
/// it first.
Result<std::filesystem::path> find_mnist(const DataConfig& data, const Environment& environment);

/// The two files of LIBSVM data. `data.path` is the training file, or a folder that has one of its own name or
/// `<name>.gz`, as a9a/a9a; where it is relative and not there, it is looked for in $RINGPS_DATA and ~/.cache/ringps.
/// The test file is `data.test_path`, or lies beside the training file and is called `<name>.t` or `<name>.t.gz`.
Result<LibsvmFiles> find_libsvm(const DataConfig& data, const Environment& environment);

/// Reads them, cut to the sizes that the configuration asks for.
Result<SparseDataset> load_libsvm(const Config& config);

}  // namespace ringps
