"""The page of `edusense camera aim`: served for one camera, as long as the command runs. Needs the extra `pages`."""
