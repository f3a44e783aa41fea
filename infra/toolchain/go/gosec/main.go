// Command gosec looks for security faults in Go packages, with all of gosec's own rules and analyzers.
//
// gosec's own command also asks language models for corrections; their clients are 50 MB and minutes of building that
// no job needs. This one is the same scanner without them: it writes SARIF to a file and text to standard output.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/report"
	"github.com/securego/gosec/v2/rules"
)

// Version is gosec's, set by the linker.
var Version = "dev"

func main() {
	sarif := flag.String("sarif", "", "also write the findings to this file, as SARIF")
	version := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *version {
		fmt.Println(Version)
		return
	}
	found, err := scan(flag.Args(), *sarif)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gosec:", err)
		os.Exit(2)
	}
	if found {
		os.Exit(1)
	}
}

// scan says whether there are findings; a package that can't be read is an error.
func scan(paths []string, sarif string) (bool, error) {
	config := gosec.NewConfig()
	// A finding is set aside by a comment that names the rule and says why: #nosec G204 -- the reason.
	config.SetGlobal(gosec.NoSecRequireRules, "true")
	config.SetGlobal(gosec.NoSecRequireJustification, "true")
	analyzer := gosec.NewAnalyzer(config, false, true, false, runtime.GOMAXPROCS(0), log.New(io.Discard, "", 0))
	analyzer.LoadRules(rules.Generate(false).RulesInfo())
	analyzer.LoadAnalyzers(analyzers.Generate(false).AnalyzersInfo())
	var packages, roots []string
	for _, path := range paths {
		inside, err := gosec.PackagePaths(path, gosec.ExcludedDirsRegExp([]string{"vendor", `\.git/`}))
		if err != nil {
			return false, err
		}
		root, err := gosec.RootPath(path)
		if err != nil {
			return false, err
		}
		packages, roots = append(packages, inside...), append(roots, root)
	}
	if len(packages) == 0 {
		return false, fmt.Errorf("no packages in %q", paths)
	}
	if err := analyzer.Process(nil, packages...); err != nil {
		return false, err
	}
	issues, metrics, faults := analyzer.Report()
	info := gosec.NewReportInfo(issues, metrics, faults).WithVersion(Version)
	if err := report.CreateReport(os.Stdout, "text", false, roots, info); err != nil {
		return false, err
	}
	if sarif != "" {
		if err := write(sarif, roots, info); err != nil {
			return false, err
		}
	}
	if len(faults) > 0 {
		return false, fmt.Errorf("packages could not be read: %v", faults)
	}
	return len(issues) > 0, nil
}

func write(path string, roots []string, info *gosec.ReportInfo) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := report.CreateReport(file, "sarif", false, roots, info); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
