//go:build linux && interop

package interop_test

const (
	connections = "connections array, status string, untrusted bool"
	version     = "release bool, status string, untrusted bool, version number"
	netStats    = "start_time number, status string, total_bytes_in number, total_bytes_out number, total_packets_in number, total_packets_out number, untrusted bool"
	info        = "adjusted_time number, alt_blocks_count number, block_size_limit number, block_size_median number, " +
		"block_weight_limit number, block_weight_median number, bootstrap_daemon_address string, busy_syncing bool, credits number, " +
		"cumulative_difficulty number, cumulative_difficulty_top64 number, database_size number, difficulty number, difficulty_top64 number, " +
		"free_space number, grey_peerlist_size number, height number, height_without_bootstrap number, incoming_connections_count number, " +
		"mainnet bool, nettype string, offline bool, outgoing_connections_count number, restricted bool, rpc_connections_count number, " +
		"stagenet bool, start_time number, status string, synchronized bool, target number, target_height number, testnet bool, " +
		"top_block_hash string, top_hash string, tx_count number, tx_pool_size number, untrusted bool, update_available bool, version string, " +
		"was_bootstrap_ever_used bool, white_peerlist_size number, wide_cumulative_difficulty string, wide_difficulty string"

	parseError     = "-32700 Parse error"
	invalidRequest = "-32600 Invalid Request"
	notFound       = "-32601 Method not found"
	invalidParams  = "-32602 Invalid params"
)

// requestDifferences is the whole list of the differences that are meant.
var requestDifferences = []difference{
	{
		"JSON-RPC 2.0 has the id null where a request's own cannot be told; monerod has 0.",
		[]string{"empty object", "garbage", "truncated"},
		map[string]values{"id": {"0", "null"}},
	},
	{
		"JSON-RPC 2.0: what is not JSON is a parse error. For monerod a body without a member is an empty object.",
		[]string{"no body", "only space"},
		map[string]values{"error": {invalidRequest, parseError}, "id": {"0", "null"}},
	},
	{
		"JSON-RPC 2.0: what is not JSON is a parse error. monerod reads no further than it must.",
		[]string{"text after the end", "truncated after a member"},
		map[string]values{"error": {"", parseError}, "id": {`"0"`, "null"}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: JSON that is not a request object is an invalid request. monerod can read nothing but objects.",
		[]string{"null", "number", "string", "empty array"},
		map[string]values{"error": {parseError, invalidRequest}, "id": {"0", "null"}},
	},
	{
		"JSON-RPC 2.0 has batches. monerod refuses them.",
		[]string{"batch of one", "batch of what is no request"},
		map[string]values{"error": {parseError, ""}, "id": {"0", ""}, "result": {"", "batch of 1"}},
	},
	{
		"Two readers of a member that is given twice can disagree: it is refused. monerod takes the last.",
		[]string{"id given twice"},
		map[string]values{"error": {"", invalidRequest}, "id": {`"1"`, "null"}, "result": {connections, ""}},
	},
	{
		"An invalid request that has an id is answered with it. monerod drops it.",
		[]string{"method missing", "method null"},
		map[string]values{"id": {"0", `"0"`}},
	},
	{
		"JSON-RPC 2.0: a method that is no string is an invalid request. In monerod it is an exception.",
		[]string{"method number", "method array"},
		map[string]values{"status": {"500", "200"}, "error": {"", invalidRequest}, "id": {"", `"0"`}},
	},
	{
		"Parameters that mean nothing are refused, so that a mistyped filter does not answer for all. monerod looks at none.",
		[]string{`params "x"`, "params 1", "params [1]", `params {"nosuch":1}`},
		map[string]values{"error": {"", invalidParams}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: params are an array or an object. monerod looks at none.",
		[]string{`get_version, params "x"`},
		map[string]values{"error": {"", invalidParams}, "result": {version, ""}},
	},
	{
		"JSON-RPC 2.0: params are an array or an object. monerod looks at none.",
		[]string{`get_info, params "x"`},
		map[string]values{"error": {"", invalidParams}, "result": {info, ""}},
	},
	{
		"An id is echoed as it was sent. monerod writes the same number in its own way.",
		[]string{"id 1e3"},
		map[string]values{"id": {"1000", "1e3"}},
	},
	{
		"JSON-RPC 2.0: the id null is echoed. monerod takes it for a missing one, which it answers with 0.",
		[]string{"id null"},
		map[string]values{"id": {"0", "null"}},
	},
	{
		`JSON-RPC 2.0: the id null is echoed. monerod takes it for a missing one, which it answers with "" where there is no method.`,
		[]string{"unknown method, id null"},
		map[string]values{"id": {`""`, "null"}},
	},
	{
		"JSON-RPC 2.0: a request without id is a notification and has no answer. monerod answers it.",
		[]string{"id missing"},
		map[string]values{"status": {"200", "204"}, "content type": {"application/json", ""}, "id": {"0", ""}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: a request without id is a notification and has no answer. monerod answers it.",
		[]string{"unknown method, id missing"},
		map[string]values{"status": {"200", "204"}, "content type": {"application/json", ""}, "id": {`""`, ""}, "error": {notFound, ""}},
	},
	{
		"JSON-RPC 2.0: an id is a string, a number or null. monerod echoes others.",
		[]string{"id true"},
		map[string]values{"error": {"", invalidRequest}, "id": {"true", "null"}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: an id is a string, a number or null. monerod echoes others.",
		[]string{"id {}"},
		map[string]values{"error": {"", invalidRequest}, "id": {"{}", "null"}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: an id is a string, a number or null. monerod takes an array for a missing id.",
		[]string{"id []"},
		map[string]values{"error": {"", invalidRequest}, "id": {"0", "null"}, "result": {connections, ""}},
	},
	{
		"JSON-RPC 2.0: an id is a string, a number or null. monerod echoes others.",
		[]string{"unknown method, id {}"},
		map[string]values{"error": {notFound, invalidRequest}, "id": {"{}", "null"}},
	},
	{
		`JSON-RPC 2.0: "jsonrpc" is "2.0". monerod does not look at it.`,
		[]string{"jsonrpc missing", "jsonrpc 1.0"},
		map[string]values{"error": {"", invalidRequest}, "result": {connections, ""}},
	},
	{
		`JSON-RPC 2.0: "jsonrpc" is "2.0". monerod can read nothing but a string there.`,
		[]string{"jsonrpc a number"},
		map[string]values{"error": {invalidParams, invalidRequest}, "id": {"0", `"0"`}},
	},
	{
		"The other methods of HTTP are refused. monerod reads the body whatever the method.",
		[]string{"GET /json_rpc", "DELETE /json_rpc"},
		map[string]values{"status": {"200", "405"}, "error": {invalidRequest, "405 Method not allowed"}, "id": {"0", "null"}},
	},
	{
		"The other methods of HTTP are refused. monerod reads the body whatever the method.",
		[]string{"PUT /json_rpc"},
		map[string]values{"status": {"200", "405"}, "error": {"", "405 Method not allowed"}, "id": {`"0"`, "null"}, "result": {connections, ""}},
	},
	{
		"The other methods of HTTP are refused. monerod reads the body whatever the method.",
		[]string{"HEAD /json_rpc"},
		map[string]values{"status": {"200", "405"}},
	},
	{
		"OPTIONS is for web pages of other origins, which are only let in by --rpc-access-control-origins.",
		[]string{"OPTIONS /json_rpc"},
		map[string]values{"status": {"200", "405"}, "content type": {"", "application/json"}, "error": {"", "405 Method not allowed"}, "id": {"", "null"}},
	},
	{
		"What is not found is said in JSON, as the REST face has it. monerod sends an empty text.",
		[]string{"GET /get_version", "GET /nosuch", "GET /json_rpc/", "POST /get_version", "POST /nosuch", "POST /json_rpc/"},
		map[string]values{"content type": {"text/plain", "application/json"}, "error": {"", `"Not found"`}},
	},
	{
		"What is wrong with a body is said in JSON. monerod sends an empty text.",
		[]string{"POST /get_info garbage", "POST /get_net_stats garbage"},
		map[string]values{"content type": {"text/plain", "application/json"}, "error": {"", parseError}},
	},
	{
		"The parameters of a path of its own may be null or [], as in an envelope. monerod takes an object only.",
		[]string{"POST /get_info null", "POST /get_info []"},
		map[string]values{"status": {"400", "200"}, "content type": {"text/plain", "application/json"}, "result": {"", info}},
	},
	{
		"The parameters of a path of its own may be null or [], as in an envelope. monerod takes an object only.",
		[]string{"POST /get_net_stats null", "POST /get_net_stats []"},
		map[string]values{"status": {"400", "200"}, "content type": {"text/plain", "application/json"}, "result": {"", netStats}},
	},
	{
		"get_connections has a path of its own here.",
		[]string{"GET /get_connections", "POST /get_connections"},
		map[string]values{"status": {"404", "200"}, "content type": {"text/plain", "application/json"}, "result": {"", connections}},
	},
	{
		"The path of the host dashboard.",
		[]string{"GET /api/connections"},
		map[string]values{"status": {"404", "200"}, "content type": {"text/plain", "application/json"}, "result": {"", "connections array, listeners array"}},
	},
	{
		"The path of the host dashboard.",
		[]string{"POST /api/connections"},
		map[string]values{"status": {"404", "405"}, "content type": {"text/plain", "application/json"}, "error": {"", `"Method not allowed"`}},
	},
	{
		"POST / is as /json_rpc, for the clients of gateways.",
		[]string{"POST /"},
		map[string]values{"status": {"404", "200"}, "content type": {"text/plain", "application/json"}, "error": {"", parseError}, "id": {"", "null"}},
	},
	{
		"POST / is as /json_rpc, for the clients of gateways.",
		[]string{"GET /"},
		map[string]values{"status": {"404", "405"}, "content type": {"text/plain", "application/json"}, "error": {"", "405 Method not allowed"}, "id": {"", "null"}},
	},
	{
		"A query string does not make another path of /json_rpc.",
		[]string{"POST /json_rpc?x=1"},
		map[string]values{"status": {"404", "200"}, "content type": {"text/plain", "application/json"}, "error": {"", parseError}, "id": {"", "null"}},
	},
}
