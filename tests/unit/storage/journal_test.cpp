#include "libps/storage/journal.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/unit/storage/fixtures.hpp"

using namespace ringps;
using Catch::Contains;

namespace {

std::vector<std::byte> bytes(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

Journal open_journal(const std::filesystem::path& path) {
  auto journal = Journal::open(path, journal_identity);
  REQUIRE(journal);
  return std::move(journal).value();
}

}  // namespace

TEST_CASE("what was appended to a journal is there when it is opened again") {
  const TempDir dir;
  const ManifestRecord manifest{Iteration{60}, Epoch{1}, "checkpoints/iteration-0000000060", std::string(64, 'a'), 5};
  {
    Journal journal = open_journal(dir / "run/journal.db");  // makes the folder
    REQUIRE(journal.append_view(Epoch{1}, bytes(std::string("v\0\xFF", 3)), 100));
    REQUIRE(journal.append_view(Epoch{2}, bytes("second"), 200));
    REQUIRE(journal.mark_settled(Epoch{1}));
    REQUIRE(journal.append_manifest(manifest));
    const std::vector<EventRecord> events{{0, 100, "joined", R"({"id":"server0"})"}, {0, 200, "removed", "{}"}};
    REQUIRE(journal.append_events(events));
  }
  Journal journal = open_journal(dir / "run/journal.db");
  const auto views = journal.views();
  REQUIRE(views);
  REQUIRE(views->size() == 2);
  CHECK(views->front().epoch == Epoch{1});
  CHECK(views->front().view == bytes(std::string("v\0\xFF", 3)));
  CHECK(views->front().unix_us == 100);
  CHECK(views->front().settled);
  CHECK_FALSE(views->back().settled);
  CHECK(journal.last_view().value()->epoch == Epoch{2});
  CHECK(journal.last_settled_view().value()->epoch == Epoch{1});
  CHECK(journal.manifests().value() == std::vector<ManifestRecord>{manifest});
  const auto events = journal.events(0, 10);
  REQUIRE(events);
  REQUIRE(events->size() == 2);
  CHECK(events->front().kind == "joined");
  CHECK(events->front().json == R"({"id":"server0"})");
  CHECK(events->front().unix_us == 100);
}

TEST_CASE("a new journal is empty") {
  const TempDir dir;
  Journal journal = open_journal(dir / "journal.db");
  CHECK(journal.views()->empty());
  CHECK_FALSE(journal.last_view().value());
  CHECK_FALSE(journal.last_settled_view().value());
  CHECK(journal.manifests()->empty());
  CHECK(journal.events(0, 10)->empty());
}

TEST_CASE("a view may be appended again, but neither changed nor overtaken by an older one") {
  const TempDir dir;
  Journal journal = open_journal(dir / "journal.db");
  REQUIRE(journal.append_view(Epoch{1}, bytes("one"), 1));
  REQUIRE(journal.append_view(Epoch{3}, bytes("three"), 2));
  CHECK(journal.append_view(Epoch{1}, bytes("one"), 9));
  CHECK(journal.append_view(Epoch{3}, bytes("three"), 9));
  CHECK_THAT(journal.append_view(Epoch{3}, bytes("other"), 9).error(), Contains("another one of that epoch"));
  CHECK_THAT(journal.append_view(Epoch{2}, bytes("two"), 9).error(), Contains("the newest is of epoch 3"));
  CHECK(journal.views()->size() == 2);
}

TEST_CASE("only a view that is in the journal can be settled, and more than once") {
  const TempDir dir;
  Journal journal = open_journal(dir / "journal.db");
  REQUIRE(journal.append_view(Epoch{1}, bytes("one"), 1));
  CHECK(journal.mark_settled(Epoch{1}));
  CHECK(journal.mark_settled(Epoch{1}));
  CHECK_THAT(journal.mark_settled(Epoch{2}).error(), Contains("epoch 2"));
}

TEST_CASE("a manifest may be appended again, but not another one for its iteration and lineage") {
  const TempDir dir;
  Journal journal = open_journal(dir / "journal.db");
  ManifestRecord record{Iteration{60}, Epoch{1}, "folder", std::string(64, 'a'), 5};
  REQUIRE(journal.append_manifest(record));
  CHECK(journal.append_manifest(record));
  record.sha256 = std::string(64, 'b');
  CHECK_THAT(journal.append_manifest(record).error(), Contains("already committed: folder"));
  record.restore_epoch = Epoch{2};
  CHECK(journal.append_manifest(record));
  CHECK(journal.manifests()->size() == 2);
}

TEST_CASE("events are read on from where a reader stopped") {
  const TempDir dir;
  Journal journal = open_journal(dir / "journal.db");
  const std::vector<EventRecord> events{{0, 1, "a", "{}"}, {0, 2, "b", "{}"}, {0, 3, "c", "{}"}};
  REQUIRE(journal.append_events(events));
  const auto first = journal.events(0, 2);
  REQUIRE(first->size() == 2);
  const auto rest = journal.events(first->back().id, 0xFFFFFFFFFFFFFFFF);
  REQUIRE(rest->size() == 1);
  CHECK(rest->front().kind == "c");
}

TEST_CASE("each life of the coordinator gets a larger incarnation, whatever its clock says") {
  const TempDir dir;
  {
    Journal journal = open_journal(dir / "journal.db");
    CHECK(journal.raise_incarnation(Incarnation{1000}).value() == Incarnation{1000});
  }
  Journal journal = open_journal(dir / "journal.db");
  CHECK(journal.raise_incarnation(Incarnation{5}).value() == Incarnation{1001});
  CHECK(journal.raise_incarnation(Incarnation{2000}).value() == Incarnation{2000});
}

TEST_CASE("a second opener is refused while the journal is open, and only then") {
  const TempDir dir;
  {
    const Journal journal = open_journal(dir / "journal.db");
    const auto second = Journal::open(dir / "journal.db", journal_identity);
    REQUIRE_FALSE(second);
    CHECK(second.error() == (dir / "journal.db").string() + ": another process has it open");
  }
  CHECK(Journal::open(dir / "journal.db", journal_identity));
}

TEST_CASE("another process is refused as well, and a killed one leaves everything it had appended") {
  const TempDir dir;
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto journal = Journal::open(dir / "journal.db", journal_identity);
    const bool appended = journal && journal->append_view(Epoch{1}, bytes("view"), 1).ok();
    const char answer = appended ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    ::pause();
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  CHECK_FALSE(Journal::open(dir / "journal.db", journal_identity));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(open_journal(dir / "journal.db").last_view().value()->view == bytes("view"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("the journal of another cluster, configuration or version is refused") {
  const TempDir dir;
  { open_journal(dir / "journal.db"); }
  CHECK_THAT(Journal::open(dir / "journal.db", {"other", journal_identity.config_digest}).error(),
             Contains("belongs to the cluster 'mnist', expected 'other'"));
  CHECK_THAT(Journal::open(dir / "journal.db", {"mnist", std::string(64, 'e')}).error(),
             Contains("another configuration"));
  {
    auto database = Sqlite::open(dir / "journal.db");
    REQUIRE(database->execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'"));
  }
  CHECK_THAT(Journal::open(dir / "journal.db", journal_identity).error(),
             Contains("version 2, this program knows version 1"));
}

TEST_CASE("a file that is no journal is refused") {
  const TempDir dir;
  write_bytes(dir / "text", std::string(5000, 'x'));
  CHECK_THAT(Journal::open(dir / "text", journal_identity).error(),
             Contains((dir / "text").string() + ": file is not a data"));
  {
    auto database = Sqlite::open(dir / "other.db");
    REQUIRE(database->execute("CREATE TABLE t (a)"));
  }
  CHECK_THAT(Journal::open(dir / "other.db", journal_identity).error(), Contains("not a journal of ringps"));
  CHECK_FALSE(Journal::open(dir / "text/journal.db", journal_identity));
}

TEST_CASE("a torn journal is an error and never a wrong answer") {
  const TempDir dir;
  {
    Journal journal = open_journal(dir / "journal.db");
    for (std::uint64_t epoch = 1; epoch <= 50; ++epoch) {
      REQUIRE(journal.append_view(Epoch{epoch}, std::vector<std::byte>(2000, std::byte{7}), epoch));
    }
  }
  const std::string whole = read_bytes(dir / "journal.db");
  for (const std::size_t eighths : {1U, 3U, 5U, 7U}) {
    write_bytes(dir / "torn.db", whole.substr(0, whole.size() * eighths / 8));
    auto journal = Journal::open(dir / "torn.db", journal_identity);
    if (journal) {
      CHECK_FALSE(journal->views());
    }
  }
}

TEST_CASE("a disk that fills up is an error, and what was appended before stays") {
  const TempDir dir;
  {
    Journal journal = open_journal(dir / "journal.db");
    REQUIRE(journal.append_view(Epoch{1}, bytes("one"), 1));
    {
      const FullDisk full(100'000);
      const auto appended = journal.append_view(Epoch{2}, std::vector<std::byte>(1'000'000), 2);
      REQUIRE_FALSE(appended);
      CHECK_THAT(appended.error(), Contains((dir / "journal.db").string()));
    }
    CHECK(journal.last_view().value()->epoch == Epoch{1});
    CHECK(journal.append_view(Epoch{2}, bytes("two"), 2));
  }
  CHECK(open_journal(dir / "journal.db").views()->size() == 2);
}
