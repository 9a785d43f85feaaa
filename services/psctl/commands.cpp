// The commands that only look: validate, ring, checkpoint, data, completion.
#include "services/psctl/commands.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libps/config/load.hpp"
#include "services/psctl/checkpoint.hpp"
#include "services/psctl/completion.hpp"
#include "services/psctl/fetch.hpp"
#include "services/psctl/ring_table.hpp"

namespace ringps {
namespace {

int print(const Result<std::string>& text) {
  if (!text) {
    return complain(text.error(), exit_run_failed);
  }
  std::fputs(text->c_str(), stdout);
  return exit_done;
}

}  // namespace

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& does, const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, does);
  command->footer("Example:\n" + examples);
  return command;
}

int complain(const std::string& text, ExitCode code) {
  return report_error("psctl: " + text, code);
}

void add_validate(CLI::App& app, Action& action) {
  struct Options {
    std::string config;
    std::vector<std::string> overrides;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(app, "validate", "Check a configuration, and say everything that is wrong with it",
                                  "  psctl validate run.yaml train.batch=64");
  command->add_option("CONFIG", options->config, "YAML file of the experiment")->required();
  command->add_option("OVERRIDES", options->overrides, "section.key=value, in place of what the file says");
  command->callback([options, &action] {
    action = [options]() -> int {
      const auto config = load_config(options->config, options->overrides);
      if (!config) {
        return report_error(config.error(), exit_usage);
      }
      fmt::print("{}: valid\n", options->config);
      return exit_done;
    };
  });
}

void add_ring(CLI::App& app, Action& action) {
  struct Options {
    std::uint32_t servers = 1;
    std::uint32_t virtual_nodes = 100;
    std::vector<std::string> tensors;
    std::vector<std::string> removed;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      add_command(app, "ring", "Show which server owns what, without a cluster",
                  "  psctl ring --servers 5 --tensor fc_weights:784:1 --tensor fc_bias:1 --remove server4 --json");
  command->add_option("--servers", options->servers, "server0, server1 …")->required()->check(CLI::Range(1, 1024));
  command->add_option("--virtual-nodes", options->virtual_nodes, "points of a server on the ring")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--tensor", options->tensors, "NAME:ELEMENTS[:BLOCK_ELEMENTS]; may be repeated")->required();
  command->add_option("--remove", options->removed, "servers that have been taken off the ring");
  command->add_flag("--json", options->json, "print JSON");
  command->callback([options, &action] {
    action = [options]() -> int {
      std::vector<TensorArgument> tensors;
      for (const std::string& text : options->tensors) {
        const auto tensor = parse_tensor_argument(text);
        if (!tensor) {
          return complain(tensor.error(), exit_usage);
        }
        tensors.push_back(*tensor);
      }
      const auto table = make_ring_table(options->servers, options->virtual_nodes, tensors, options->removed);
      if (!table) {
        return complain(table.error(), exit_usage);
      }
      std::fputs((options->json ? to_json(*table).dump() + "\n" : to_text(*table)).c_str(), stdout);
      return exit_done;
    };
  });
}

void add_checkpoint(CLI::App& app, Action& action) {
  struct Options {
    std::string path;
    std::string file;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(app, "checkpoint", "Look at checkpoints on disk",
                                  "  psctl checkpoint ls runs/quickstart-1\n"
                                  "  psctl checkpoint export runs/quickstart-1 weights.safetensors");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* does, const std::string& example, std::function<int()> run) {
    CLI::App* sub = add_command(*command, name, does, "  psctl checkpoint " + example);
    sub->add_option("DIR", options->path, "folder of a run, of checkpoints, or of one checkpoint")->required();
    sub->callback([run = std::move(run), &action] { action = run; });
    return sub;
  };
  add("ls", "List the committed checkpoints, newest first", "ls runs/quickstart-1", [options] {
    return print(checkpoint_ls(options->path, options->json));
  })->add_flag("--json", options->json, "print JSON");
  add("show", "Print what a checkpoint holds", "show runs/quickstart-1", [options] {
    return print(checkpoint_show(options->path, options->json));
  })->add_flag("--json", options->json, "print JSON");
  add("verify", "Read a whole checkpoint and hold it against its manifest", "verify runs/quickstart-1", [options] {
    const auto verdict = checkpoint_verify(options->path);
    if (!verdict) {
      return complain(verdict.error(), exit_data_lost);
    }
    std::fputs(verdict->text.c_str(), stdout);
    return static_cast<int>(verdict->sound ? exit_done : exit_data_lost);
  });
  add("export", "Write the weights as one safetensors file", "export runs/quickstart-1 weights.safetensors",
      [options] { return print(checkpoint_export(options->path, options->file)); })
      ->add_option("FILE", options->file, "file to write, NAME.safetensors")
      ->required();
}

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = add_command(app, "data", "Get data sets", "  psctl data fetch mnist --into ~/.cache/ringps/mnist");
  data->require_subcommand(1);
  struct Options {
    std::string set;
    std::string into;
    std::string mirror = mnist_mirror;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(*data, "fetch", "Download a data set and verify its SHA-256 digests",
                                  "  psctl data fetch mnist --into ~/.cache/ringps/mnist");
  command->add_option("SET", options->set, "which: mnist")->required()->check(CLI::IsMember({"mnist"}));
  command->add_option("--into", options->into, "folder; made if it is not there")->required();
  command->add_option("--mirror", options->mirror, "where the files lie, http or https")->capture_default_str();
  command->callback([options, &action] {
    action = [options]() -> int {
      FetchOptions fetching;
      fetching.into = options->into;
      fetching.mirror = options->mirror;
      fetching.terminal = isatty(STDERR_FILENO) == 1;
      const auto fetched = fetch(mnist_files(), fetching, std::cerr);
      return fetched ? exit_done : complain(fetched.error(), exit_run_failed);
    };
  });
}

void add_completion(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = add_command(app, "completion", "Print the completion of psctl's command lines for a shell",
                                  "  source <(psctl completion bash)");
  command->add_option("SHELL", *shell, "which: bash")->required()->check(CLI::IsMember({"bash"}));
  command->callback([shell, &app, &action] {
    action = [&app]() -> int {
      std::fputs(bash_completion(app).c_str(), stdout);
      return exit_done;
    };
  });
}

}  // namespace ringps
