#include "libps/storage/json.hpp"

#include <string>
#include <unordered_set>
#include <vector>

namespace ringps {
namespace {

/// Ends the parse from within the library's callback.
struct RefusedJson {
  std::string why;
};

/// The library's callback, told of every key and of where objects begin and end.
class StrictRules {
 public:
  explicit StrictRules(std::size_t nesting_max) : nesting_max_(nesting_max) {}

  bool operator()(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (static_cast<std::size_t>(depth) > nesting_max_) {
      throw RefusedJson{"is nested deeper than " + std::to_string(nesting_max_) + " levels"};
    }
    if (event == Event::object_start) {
      keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      throw RefusedJson{"has the key " + parsed.dump() + " twice in one object"};
    }
    return true;
  }

 private:
  std::size_t nesting_max_;
  std::vector<std::unordered_set<std::string>> keys_;  ///< of the objects that are open, outermost first
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::size_t nesting_max) {
  try {
    StrictRules rules(nesting_max);
    return nlohmann::json::parse(text.begin(), text.end(), std::ref(rules));
  } catch (const RefusedJson& refused) {
    return Error{"the JSON " + refused.why};
  } catch (const nlohmann::json::exception& error) {
    return Error{std::string("is not valid JSON: ") + error.what()};
  }
}

}  // namespace ringps
