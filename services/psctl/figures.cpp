#include "services/psctl/commands.hpp"
namespace ringps {
void add_figures(CLI::App&, Action&) {}
}  // namespace ringps
