// The operator that sends mail.

#include "plugins/operators/mail/mail.h"

using pawl::operators::Mail;

PAWL_PLUGIN("1", Mail)
