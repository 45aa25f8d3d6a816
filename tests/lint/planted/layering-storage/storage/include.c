#include "daemon/log.h"

int hm_planted;
