/* The header from before there were namespaces. */
#ifndef COVIEW_WIN32_IOSTREAM_H
#define COVIEW_WIN32_IOSTREAM_H

#include <iostream>
using namespace std;

#endif
