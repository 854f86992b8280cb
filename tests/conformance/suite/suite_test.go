package suite

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/pkg/consts"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// The suite, as its flags say.
func TestConformance(t *testing.T) { conformance.RunConformance(t) }

// What the suite asks of a gateway, as one line of JSON: every feature that is not of a mesh, and the tests of them.
func TestInventory(t *testing.T) {
	names, wanted := []string{}, map[string][]string{}
	for _, one := range features.AllFeatures.UnsortedList() {
		if !strings.HasPrefix(string(one.Name), "Mesh") {
			names = append(names, string(one.Name))
		}
	}
	sort.Strings(names)
	for _, one := range tests.ConformanceTests {
		of, mesh := []string{}, false
		for _, feature := range one.Features {
			of = append(of, string(feature))
			mesh = mesh || strings.HasPrefix(string(feature), "Mesh")
		}
		if !mesh {
			wanted[one.ShortName] = of
		}
	}
	line, err := json.Marshal(map[string]any{"version": consts.BundleVersion, "features": names, "tests": wanted})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nINVENTORY %s\n", line)
}
