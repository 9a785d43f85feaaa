#include "services/coordinator/coordinator_service.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "libps/base/log.hpp"
#include "libps/net/clock.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/file.hpp"
#include "libps/wire/codec.hpp"
#include "services/common/status_json.hpp"

namespace ringps {
namespace {

/// In the journal: nobody may go on with this run.
const std::string end_event = "end";
constexpr std::uint64_t events_max = 100000;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What the metrics say of the view's lineage. A line that a crash has torn is as good as absent: it is measured again.
void read_metrics(const std::filesystem::path& file, Coordinator::Recovered& recovered) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || entry.value("restore_epoch", std::uint64_t{0}) != recovered.view.restore.epoch.value) {
      continue;
    }
    const Iteration iteration{entry.value("iteration", std::uint64_t{0})};
    if (entry.value("event", "") == "evaluation") {
      recovered.evaluated.push_back(iteration);
    } else {
      recovered.timings_through = std::max(recovered.timings_through, iteration);
    }
  }
}

/// The same address with a port that the system chooses; ipc sockets lie side by side.
std::string broadcast_endpoint(const std::string& control) {
  return control.starts_with("tcp://") ? control.substr(0, control.rfind(':')) + ":0" : control + ".pub";
}

}  // namespace

CoordinatorService::CoordinatorService(const Job& job, Options options)
    : job_(job),
      options_(std::move(options)),
      checkpoints_(std::filesystem::path(options_.role.run_dir) / "checkpoints"),
      context_(make_context()),
      router_(context_, control_queues),
      publisher_(context_) {
  router_.set_linger(std::chrono::milliseconds(500));  // whoever has stopped the run is to hear that it was
}

Result<Coordinator::Start> CoordinatorService::find_start() const {
  if (options_.resume.empty()) {
    return Coordinator::Start{};
  }
  const auto folder = resolve_checkpoint(options_.resume);
  if (!folder) {
    return Error{folder.error()};
  }
  const auto manifest = read_manifest(*folder);
  if (!manifest) {
    return Error{manifest.error()};
  }
  if (manifest->iteration > job_.spec.iterations) {
    return Error{folder->string() + " is of iteration " + std::to_string(manifest->iteration.value) +
                 ", but train.iterations is " + std::to_string(job_.spec.iterations.value) + "; ask for more"};
  }
  if (manifest->slices != job_.spec.slices) {
    return Error{folder->string() + " is of a run with " + std::to_string(manifest->slices) +
                 " slices, but train.slices is " + std::to_string(job_.spec.slices) + "; set train.slices=" +
                 std::to_string(manifest->slices) + " to go on with it, with any number of servers and workers"};
  }
  return Coordinator::Start{manifest->iteration, std::filesystem::absolute(*folder).string()};
}

Result<std::optional<Coordinator::Recovered>> CoordinatorService::recover() {
  const auto last = journal_->last_view();
  if (!last) {
    return Error{last.error()};
  }
  if (!*last) {
    return std::optional<Coordinator::Recovered>{};
  }
  const auto view = decode_view(text_of((*last)->view));
  if (!view) {
    return Error{"the journal's view " + std::to_string((*last)->epoch.value) + " is damaged: " + view.error()};
  }
  const auto events = journal_->events(0, events_max);
  if (!events) {
    return Error{events.error()};
  }
  for (const EventRecord& event : *events) {
    if (event.kind == end_event) {
      return Error{"the run in '" + options_.role.run_dir + "' is over: " + event.json +
                   "; give another --run-dir (and --resume '" + options_.role.run_dir +
                   "' to go on from its checkpoint)"};
    }
  }
  const auto manifests = journal_->manifests();
  if (!manifests) {
    return Error{manifests.error()};
  }
  Coordinator::Recovered recovered{*view, view->restore.iteration, view->restore.checkpoint, {}, {}};
  for (const ManifestRecord& record : *manifests) {
    if (record.iteration >= recovered.committed) {
      recovered.committed = record.iteration;
      recovered.committed_folder = record.folder;
    }
  }
  read_metrics(metrics_file(), recovered);
  log::info("goes on from the journal: view {}, checkpoint {}", view->epoch.value, recovered.committed.value);
  return std::optional(recovered);
}

Result<void> CoordinatorService::open() {
  const std::filesystem::path run_dir = options_.role.run_dir;
  auto journal = Journal::open(run_dir / "journal.sqlite", {job_.spec.cluster, job_.digest});
  if (!journal) {
    return Error{journal.error()};
  }
  journal_ = std::move(*journal);
  const auto incarnation = journal_->raise_incarnation(Incarnation{unix_microseconds()});
  if (!incarnation) {
    return Error{incarnation.error()};
  }
  incarnation_ = *incarnation;
  const auto start = find_start();
  if (!start) {
    return Error{start.error()};
  }
  const auto recovered = recover();
  if (!recovered) {
    return Error{recovered.error()};
  }
  metrics_.open(metrics_file(), std::ios::app);
  if (!metrics_) {
    return Error{"cannot write " + metrics_file().string() + ": " + std::strerror(errno)};
  }
  const auto control = router_.bind(options_.role.bind, options_.role.advertise);
  if (!control) {
    return Error{control.error()};
  }
  const auto broadcast = publisher_.bind(broadcast_endpoint(options_.role.bind), options_.role.advertise);
  if (!broadcast) {
    return Error{broadcast.error()};
  }
  core_.emplace(job_.spec, incarnation_, job_.digest, *broadcast, *start);
  core_->on_start(now(), *recovered);
  return announce(*control, *broadcast);
}

Result<void> CoordinatorService::announce(const std::string& control, const std::string& broadcast) const {
  const nlohmann::json where{
      {"control", control}, {"broadcast", broadcast}, {"pid", getpid()}, {"incarnation", incarnation_.value}};
  const std::string line = where.dump() + "\n";
  if (auto written = write_text(std::filesystem::path(options_.role.run_dir) / "coordinator.json", line); !written) {
    return Error{written.error()};
  }
  if (options_.ready_fd >= 0) {
    if (write(options_.ready_fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      return Error{std::string("cannot write to --ready-fd: ") + std::strerror(errno)};
    }
    close(options_.ready_fd);
  }
  log::info("listens at {}, broadcasts at {}", control, broadcast);
  return {};
}

int CoordinatorService::run() {
  EventLoop loop;
  loop.add(router_);
  loop.add(signals_.descriptor(), [&] {
    if (signals_.take() != 0) {
      core_->stop(now(), RunState::interrupted, "a signal has come", effects_);
    }
  });
  while (!exit_) {
    loop.wait_until(core_->next_deadline());
    receive_all();  // before the tick: whoever has spoken is not silent
    core_->on_tick(now(), effects_);
    carry_out();
  }
  leave_last_status();
  switch (exit_->state) {
    case RunState::completed:
      return exit_done;
    case RunState::interrupted:
      return exit_interrupted;
    case RunState::data_lost:
      return report_error(exit_->text, exit_data_lost);
    default:
      return report_error(exit_->text, exit_run_failed);
  }
}

/// For those who come too late to ask.
void CoordinatorService::leave_last_status() const {
  const auto path = std::filesystem::path(options_.role.run_dir) / last_status_name;
  if (auto written = write_text(path, to_json(core_->status(now())).dump(2) + "\n"); !written) {
    log::warn("{}", written.error());
  }
}

void CoordinatorService::receive_all() {
  Route from;
  Message message;
  const auto on_malformed = [this](const std::string& reason) {
    core_->count_refused();
    log::warn("refused a message: {}", reason);
  };
  while (router_.receive(from, message, on_malformed)) {
    core_->on_message(now(), from, message, effects_);
    carry_out();
  }
}

void CoordinatorService::carry_out() {
  // Committing a checkpoint causes further effects, which come after those that are there.
  while (!effects_.empty()) {
    for (const Coordinator::Effect& effect : std::exchange(effects_, {})) {
      if (auto done = carry_out(effect); !done) {
        log::error("{}", done.error());
        core_->stop(now(), RunState::failed, done.error(), effects_);
      }
    }
  }
}

Result<void> CoordinatorService::carry_out(const Coordinator::Effect& effect) {
  if (const auto* send = std::get_if<Coordinator::Send>(&effect)) {
    if (!router_.send(send->to, send->message)) {
      core_->on_unreachable(now(), send->to);
    }
  } else if (const auto* publish = std::get_if<Coordinator::Publish>(&effect)) {
    publisher_.send(publish->message);
  } else if (const auto* persist = std::get_if<Coordinator::PersistView>(&effect)) {
    const std::string view = encode_view(persist->view);
    if (auto kept = journal_->append_view(persist->view.epoch, bytes_of(view), unix_microseconds()); !kept) {
      // Nobody may be told of a view that is not in the journal: this process cannot go on.
      log::error("{}", kept.error());
      std::exit(report_error(kept.error(), exit_run_failed));
    }
  } else if (const auto* checkpoint = std::get_if<Coordinator::CommitCheckpoint>(&effect)) {
    return commit_checkpoint(*checkpoint);
  } else if (const auto* progress = std::get_if<Coordinator::Record>(&effect)) {
    return record(*progress);
  } else if (const auto* text = std::get_if<Coordinator::Log>(&effect)) {
    log::info("{}", text->text);
  } else {
    exit_ = std::get<Coordinator::Exit>(effect);
    const std::vector<EventRecord> end{{0, unix_microseconds(), end_event, nlohmann::json(exit_->text).dump()}};
    return journal_->append_events(end);
  }
  return {};
}

Result<void> CoordinatorService::commit_checkpoint(const Coordinator::CommitCheckpoint& order) {
  const JobSpec& spec = job_.spec;
  Manifest manifest;
  manifest.cluster = spec.cluster;
  manifest.config_digest = job_.digest;
  manifest.seed = spec.seed;
  manifest.iteration = order.iteration;
  manifest.epoch = order.epoch;
  manifest.slices = spec.slices;
  manifest.virtual_nodes = spec.virtual_nodes;
  manifest.replicas = spec.replicas;
  manifest.block_elements = spec.block_elements;
  manifest.optimizer = schema::name_of(job_.config.train.optimizer.kind);
  manifest.state_per_element = spec.optimizer.state_per_element();
  manifest.clocks = spec.asynchronous() ? spec.slices : 0;
  manifest.tensors = spec.tensors;
  manifest.tables = spec.tables;
  for (const Coordinator::CheckpointFile& each : order.files) {
    manifest.files.push_back({each.server, each.file});
  }
  auto committed = commit(checkpoints_, manifest);
  if (!committed) {
    return Error{"cannot commit checkpoint " + std::to_string(order.iteration.value) + ": " + committed.error()};
  }
  const std::string folder = std::filesystem::absolute(committed->folder).string();
  auto kept =
      journal_->append_manifest({order.iteration, order.restore_epoch, folder, committed->sha256, unix_microseconds()});
  if (!kept) {
    return kept;
  }
  core_->on_checkpoint_committed(now(), order.iteration, order.restore_epoch, folder, effects_);
  if (auto pruned = prune(checkpoints_, spec.checkpoint.keep, order.iteration); !pruned) {
    if (pruned.failure().kind == ErrorKind::fsync_failed) {
      return pruned.failure();
    }
    log::warn("cannot delete older checkpoints: {}", pruned.error());
  }
  return {};
}

Result<void> CoordinatorService::record(const Coordinator::Record& measured) {
  const Progress& progress = measured.progress;
  const std::uint64_t lineage = progress.restore_epoch.value;
  for (const IterationTiming& timing : progress.timings) {
    metrics_ << nlohmann::json{{"event", "iteration"},
                               {"restore_epoch", lineage},
                               {"iteration", timing.iteration.value},
                               {"total_time", timing.total},
                               {"gradient_time", timing.gradient}}
             << '\n';
  }
  for (const EvaluationReport& evaluation : progress.evaluations) {
    metrics_ << nlohmann::json{{"event", "evaluation"},
                               {"restore_epoch", lineage},
                               {"iteration", evaluation.iteration.value},
                               {"accuracy", evaluation.accuracy},
                               {"loss", evaluation.loss}}
             << '\n';
  }
  if (!progress.staleness.empty()) {
    metrics_ << nlohmann::json{{"event", "staleness"},
                               {"restore_epoch", lineage},
                               {"worker", measured.worker},
                               {"incarnation", measured.incarnation.value},
                               {"gradients", progress.staleness}}
             << '\n';
  }
  if (const Traffic& traffic = progress.traffic; traffic != Traffic{}) {
    metrics_ << nlohmann::json{{"event", "traffic"},
                               {"restore_epoch", lineage},
                               {"worker", measured.worker},
                               {"incarnation", measured.incarnation.value},
                               {"gradients", traffic.gradients},
                               {"gradients_float32", traffic.gradients_float32},
                               {"weights", traffic.weights},
                               {"weights_float32", traffic.weights_float32},
                               {"residuals_lost", traffic.residuals_lost}}
             << '\n';
  }
  metrics_.flush();
  if (!metrics_) {
    metrics_.clear();
    return io_error(metrics_file(), "write", errno);
  }
  return {};
}

}  // namespace ringps
