"""The garbage collector: `graph` knows who owns whom (pure), `controller` watches everything and acts."""
