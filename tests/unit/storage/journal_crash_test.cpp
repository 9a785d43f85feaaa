// Loss of power at every moment of a journal's life, alone and after a kill at every other moment before it.
#include <functional>
#include <map>
#include <optional>

#include "libps/storage/journal.hpp"
#include "tests/unit/storage/crash_disk.hpp"
#include "tests/unit/storage/fixtures.hpp"
#include "tests/unit/storage/recorded_vfs.hpp"

using namespace ringps;

namespace {

const std::string name = "journal.sqlite";

/// Of all subsets of more writes most leave the same: a log without its first missing page and what follows.
constexpr CrashBounds bounds{6};
/// There is a history for every kill.
constexpr CrashBounds coarse_bounds{2, 1, 0, false};

/// What a journal holds.
struct Contents {
  Incarnation incarnation;                                      ///< the last that was given
  std::map<std::uint64_t, std::pair<std::string, bool>> views;  ///< by epoch: bytes and whether settled
  std::vector<ManifestRecord> manifests;
  std::vector<std::string> events;

  friend bool operator==(const Contents&, const Contents&) = default;
};

/// One call that changes the journal, and what it makes of its contents.
struct Step {
  std::function<Result<void>(Journal&)> call;
  std::function<void(Contents&)> change;
};

Step raise(Incarnation at_least) {
  return {[=](Journal& journal) {
            const auto raised = journal.raise_incarnation(at_least);
            return raised ? Result<void>() : Result<void>(raised.failure());
          },
          [=](Contents& contents) { contents.incarnation = std::max(contents.incarnation.next(), at_least); }};
}

Step append_view(Epoch epoch, std::size_t length) {
  const std::string view(length, static_cast<char>('a' + epoch.value % 26));
  return {[=](Journal& journal) { return journal.append_view(epoch, std::as_bytes(std::span(view)), 1); },
          [=](Contents& contents) {
            contents.views[epoch.value] = {view, false};
          }};
}

Step settle(Epoch epoch) {
  return {[=](Journal& journal) { return journal.mark_settled(epoch); },
          [=](Contents& contents) { contents.views[epoch.value].second = true; }};
}

Step append_manifest(Iteration iteration) {
  const ManifestRecord record{iteration, Epoch{1}, "checkpoints/" + std::to_string(iteration.value),
                              std::string(64, 'a'), 5};
  return {[=](Journal& journal) { return journal.append_manifest(record); },
          [=](Contents& contents) { contents.manifests.push_back(record); }};
}

/// Several events of which the last does not fit a page.
Step append_events(const std::string& first) {
  const std::vector<std::string> texts{first, first + " too", first + std::string(5000, '.')};
  return {[=](Journal& journal) {
            std::vector<EventRecord> events;
            for (const std::string& text : texts) {
              events.push_back({0, 1, "note", text});
            }
            return journal.append_events(events);
          },
          [=](Contents& contents) { contents.events.insert(contents.events.end(), texts.begin(), texts.end()); }};
}

/// What a coordinator does between two starts.
using Life = std::vector<Step>;

/// Enough that the log is copied into the database and begun anew several times.
const std::vector<Life> lives{
    {raise(Incarnation{1000}), append_view(Epoch{1}, 100), settle(Epoch{1}), append_events("joined"),
     append_view(Epoch{2}, 9000), append_manifest(Iteration{20}), settle(Epoch{2}), append_view(Epoch{3}, 3000),
     append_manifest(Iteration{40})},
    {raise(Incarnation{1}), append_view(Epoch{4}, 6000), append_events("removed"), settle(Epoch{4})},
    {raise(Incarnation{1}), append_manifest(Iteration{60}), append_view(Epoch{5}, 200)},
};

/// Everything but the incarnation.
Result<Contents> read_all(Journal& journal) {
  const auto views = journal.views();
  const auto manifests = journal.manifests();
  const auto events = journal.events(0, 1000);
  for (const auto& error :
       {views ? "" : views.error(), manifests ? "" : manifests.error(), events ? "" : events.error()}) {
    if (!error.empty()) {
      return Error{error};
    }
  }
  Contents contents;
  for (const ViewRecord& record : *views) {
    const std::string_view view(reinterpret_cast<const char*>(record.view.data()), record.view.size());
    contents.views[record.epoch.value] = {std::string(view), record.settled};
  }
  contents.manifests = *manifests;
  for (const EventRecord& record : *events) {
    contents.events.push_back(record.json);
  }
  return contents;
}

/// A coordinator's lives on a recorded disk. Each step makes the next of a row of contents.
class History {
 public:
  explicit History(RecordedVfs& vfs) : log_(vfs.log()) {}

  /// A life ends in good order unless it is killed; then it goes on from where it was, with what it finds.
  void live() {
    for (const Life& life : lives) {
      journal_.reset();
      open();
      for (const Step& step : life) {
        run(step);
      }
    }
    journal_.reset();
  }

  bool killed() const { return killed_; }
  const std::vector<Contents>& contents() const { return contents_; }
  /// The contents after a loss of power are not before `promised` and not after `begun`: indices of contents().
  std::size_t promised(std::size_t ops) const { return index_at(promised_, ops); }
  std::size_t begun(std::size_t ops) const { return index_at(begun_, ops); }
  /// Operations done when the second step after the kill had returned.
  std::size_t settled_at() const { return settled_at_.value_or(log_.ops().size()); }

 private:
  struct Moment {
    std::size_t ops;
    std::size_t index;  ///< of the newest contents from then on
  };

  static std::size_t index_at(const std::vector<Moment>& moments, std::size_t ops) {
    std::size_t index = 0;
    for (const Moment& moment : moments) {
      index = moment.ops <= ops ? moment.index : index;
    }
    return index;
  }

  void begin(Contents contents) {
    contents_.push_back(std::move(contents));
    begun_.push_back({log_.ops().size(), contents_.size() - 1});
  }

  void promise() {
    promised_.push_back({log_.ops().size(), contents_.size() - 1});
    returns_after_kill_ += killed_ ? 1 : 0;
    if (returns_after_kill_ == 2) {
      settled_at_ = log_.ops().size();
    }
  }

  void open() {
    auto opened = Journal::open(name, journal_identity);
    if (!opened) {
      INFO(opened.error());
      bury();
      opened = Journal::open(name, journal_identity);
      REQUIRE(opened);
    }
    journal_.emplace(std::move(opened).value());
  }

  void bury() {
    REQUIRE(log_.dead());
    journal_.reset();  // while dead: what closing it does, the killed process has not done
    log_.revive();
    killed_ = true;
  }

  void run(const Step& step) {
    const Contents before = contents_.back();
    Contents after = before;
    step.change(after);
    begin(after);
    if (const auto done = step.call(*journal_); done) {
      promise();
      return;
    }
    bury();
    open();
    if (resume(before, after)) {
      run(step);
    }
  }

  /// A coordinator that is started again first raises its incarnation; then it acts on all that it finds, so that this
  /// must not be lost any more. Whether the step in which it was killed has to be done again.
  bool resume(const Contents& before, const Contents& after) {
    auto found = read_all(*journal_);
    REQUIRE(found);
    found->incarnation = after.incarnation;
    const bool there = *found == after;
    if (!there) {
      found->incarnation = before.incarnation;
      REQUIRE(*found == before);
    }
    begin(*found);
    const auto raised = journal_->raise_incarnation(Incarnation{1});
    REQUIRE(raised);
    CHECK(*raised > before.incarnation);
    contents_.back().incarnation = *raised;
    promise();
    return !there;
  }

  DiskLog& log_;
  std::optional<Journal> journal_;
  std::vector<Contents> contents_{Contents()};
  std::vector<Moment> begun_;
  std::vector<Moment> promised_;
  std::size_t returns_after_kill_ = 0;
  std::optional<std::size_t> settled_at_;
  bool killed_ = false;
};

/// Opens what a loss of power has left; each state once.
class JournalInspector {
 public:
  explicit JournalInspector(RecordedVfs& vfs) : vfs_(vfs) {}

  /// Empty: the journal opens, and has the contents that it may have.
  std::string problem(const Disk& disk, std::size_t done, const History& history) {
    const auto [known, fresh] = seen_.try_emplace(disk.fingerprint(), Contents());
    if (fresh) {
      known->second = look(disk);
    }
    if (!known->second) {
      return known->second.error();
    }
    const auto& allowed = history.contents();
    for (std::size_t i = history.promised(done); i <= history.begun(done); ++i) {
      if (allowed[i] == *known->second) {
        return {};
      }
    }
    return "has lost what an append had promised, or has what nobody appended";
  }

  std::size_t states() const { return seen_.size(); }

 private:
  Result<Contents> look(const Disk& disk) {
    vfs_.mount(disk);
    auto journal = Journal::open(name, journal_identity);
    if (!journal) {
      return journal.failure();
    }
    auto contents = read_all(*journal);
    const auto raised = journal->raise_incarnation(Incarnation{0});  // so it can be written, too
    if (!raised) {
      return raised.failure();
    }
    if (contents) {
      contents->incarnation = Incarnation{raised->value - 1};
    }
    return contents;
  }

  RecordedVfs& vfs_;
  std::map<std::string, Result<Contents>> seen_;  ///< by fingerprint of the disk
};

}  // namespace

TEST_CASE("a journal that loses power at any moment opens, with all that was promised and nothing by halves") {
  RecordedVfs vfs;
  History history(vfs);
  history.live();
  const std::vector<DiskOp> ops = vfs.log().ops();
  JournalInspector inspector(vfs);
  const auto check = [&](std::size_t done, const Disk& disk) { return inspector.problem(disk, done, history); };
  CHECK(first_problem(ops, 0, ops.size(), bounds, check) == "");
  CHECK(inspector.states() > 10'000);
}

TEST_CASE("what a journal shows after a kill at any moment survives a loss of power once it was acted on") {
  RecordedVfs vfs;
  bool killed = true;
  std::size_t states = 0;
  std::size_t kill = 0;
  for (; killed; ++kill) {
    vfs.mount({});
    vfs.log().kill_before(kill);
    History history(vfs);
    history.live();
    killed = history.killed();
    const std::vector<DiskOp> ops = vfs.log().ops();
    JournalInspector inspector(vfs);
    const auto check = [&](std::size_t done, const Disk& disk) { return inspector.problem(disk, done, history); };
    const std::size_t last = history.settled_at();
    INFO("killed before operation " << kill);
    CHECK(first_problem(ops, std::min(kill, last), last, coarse_bounds, check) == "");
    states += inspector.states();
  }
  CHECK(kill > 150);
  CHECK(states > 10'000);
}
