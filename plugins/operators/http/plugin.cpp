// The operators that speak HTTP.

#include "plugins/operators/http/http.h"
#include "plugins/operators/http/wait_http.h"

using pawl::operators::Http;
using pawl::operators::WaitHttp;

PAWL_PLUGIN("1", Http, WaitHttp)
