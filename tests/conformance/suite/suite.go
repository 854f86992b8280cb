// Package suite is the Gateway API's conformance suite as one test binary.
package suite

import _ "sigs.k8s.io/gateway-api/conformance"
