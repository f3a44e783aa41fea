// Command gitlab-runner is upstream's GitLab Runner with the shell and custom executors, for machines that can't
// download the official binary.
//
// Networking, job loop, scripts, masking, artifacts and caches are upstream's packages, unchanged. What is not in this
// build: the docker, kubernetes, ssh and autoscaling executors, CI steps (`run:`), job inputs, usage events and the
// `wrapper` command; the modules in ./stub stand in for what those import.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli"

	"gitlab.com/gitlab-org/gitlab-runner/commands"
	"gitlab.com/gitlab-org/gitlab-runner/commands/helpers"
	"gitlab.com/gitlab-org/gitlab-runner/common"
	"gitlab.com/gitlab-org/gitlab-runner/executors"
	"gitlab.com/gitlab-org/gitlab-runner/executors/custom"
	"gitlab.com/gitlab-org/gitlab-runner/executors/shell"
	clihelpers "gitlab.com/gitlab-org/gitlab-runner/helpers/cli"
	"gitlab.com/gitlab-org/gitlab-runner/log"
	"gitlab.com/gitlab-org/gitlab-runner/network"

	_ "gitlab.com/gitlab-org/gitlab-runner/shells"
)

const build = "Forgeline's build of upstream's packages (shell and custom executors only); not GitLab's official binary"

func main() {
	defer func() {
		// Upstream's logger panics with its entry where the process is to exit.
		if reason := recover(); reason != nil {
			if _, ok := reason.(*logrus.Entry); ok {
				os.Exit(1)
			}
			panic(reason)
		}
	}()
	app := newApp(newProviders())
	if err := app.Run(os.Args); err != nil {
		logrus.Fatal(err)
	}
}

func newApp(providers *executors.ProviderRegistry) *cli.App {
	requests := network.NewAPIRequestsCollector()
	client := network.NewGitLabClient(
		network.WithAPIRequestsCollector(requests),
		network.WithCertificateDirectory(commands.GetDefaultCertificateDirectory()),
		network.WithExecutorProviderFunc(providers.GetByName),
	)
	app := cli.NewApp()
	app.Name = filepath.Base(os.Args[0])
	app.Usage = "a GitLab Runner: " + build
	app.Version = common.AppVersion.ShortLine()
	cli.VersionPrinter = func(*cli.Context) {
		fmt.Print(common.AppVersion.Extended())
		fmt.Printf("Build:        %s\n", build)
	}
	app.Commands = []cli.Command{
		commands.NewListCommand(),
		commands.NewRegisterCommand(client, providers),
		commands.NewResetTokenCommand(client),
		commands.NewRunCommand(client, requests, providers),
		commands.NewRunSingleCommand(client, providers),
		commands.NewUnregisterCommand(client),
		commands.NewVerifyCommand(client),
		helpers.NewArtifactsDownloaderCommand(),
		helpers.NewArtifactsUploaderCommand(),
		helpers.NewCacheArchiverCommand(),
		helpers.NewCacheExtractorCommand(),
		helpers.NewCacheInitCommand(),
		helpers.NewHealthCheckCommand(),
		helpers.NewReadLogsCommand(),
	}
	app.CommandNotFound = func(_ *cli.Context, command string) {
		logrus.Fatalln("Command", command, "not found. This is", build)
	}
	clihelpers.InitCli()
	clihelpers.LogRuntimePlatform(app)
	clihelpers.FixHOME(app)
	clihelpers.WarnOnBool(os.Args)
	log.ConfigureLogging(app)
	return app
}

func newProviders() *executors.ProviderRegistry {
	self, err := os.Executable()
	if err != nil {
		logrus.Fatal(err)
	}
	return executors.NewProviderRegistry(map[string]common.ExecutorProvider{
		"shell":  shell.NewProvider(self),
		"custom": custom.NewProvider("gitlab-runner"),
	})
}
